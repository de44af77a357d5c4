#pragma once

#include <cstdint>

#include "strop/engine/kernels/gemm/args.h"

// The one shape of every GEMM kernel, over a vector type V of the ISA file: kWidth, Reg, Zero, Set1, Load and
// Store; Mask of the first 1 … kWidth lanes, LoadPart and StorePart of those; Fma(a, b, c) = a·b + c, Add,
// Max and Min, which answer the second operand when either is NaN. V lies in the ISA file's unnamed namespace
// and is a parameter of every function, so that each file keeps its own instances. Goto and van de Geijn,
// "Anatomy of high-performance matrix multiplication" (2008), without packing a: its rows are read by
// broadcast.
//
// Each element of c sums k upwards in one chain, cut at the same places for all.
namespace strop::engine {

// Most of k between visits to c, and most columns between visits to a: so much of b, 576 KiB, stays in L2.
inline constexpr int64_t kGemmDepth = 384;
inline constexpr int64_t kGemmColumns = 384;
// Up to so many rows all of them pass by a panel of b before the next one comes; of more, a tile of a stays
// in L1 while the panels pass by it.
inline constexpr int64_t kGemmFewRows = 64;

// A size cut into near equal parts of at most `most`, multiples of `unit`.
template <class V>
inline int64_t GemmShare(int64_t size, int64_t most, int64_t unit) noexcept {
  const int64_t parts = (size + most - 1) / most;
  return parts <= 1 ? most : ((size + parts - 1) / parts + unit - 1) / unit * unit;
}

// What the tiles of a block share.
template <class V>
struct GemmPlace {
  int64_t lda, ldc;
  int64_t panel;  // floats from a panel of b to the next
  int64_t depth;  // rows of b that are multiplied
  bool first;     // c begins here
  bool clamped;
  Clamp clamp;
};

// What to fetch into L2 meanwhile, a line with each step of k: `turn` of one row, then of the next. Without
// it a of 3136 x 576, which comes from L3, costs 6 % of the time, and b of 4608 x 512 for 49 rows 8 %.
struct GemmAhead {
  const float* line;
  int64_t next;    // floats from one fetch to the next; 0: nothing is to be fetched
  int64_t stride;  // floats from a row to the next
  int64_t turn;
};

// c[R × n] (+)= a[R × depth] · b over P panels of NV vectors, the last one of them in part.
template <class V, int R, int NV, int P>
inline void GemmTile(const GemmPlace<V>& g, int64_t nr, const float* a, const GemmAhead& ahead,
                     const float* b, const float* bias, float* c, int64_t n) noexcept {
  using Reg = typename V::Reg;
  constexpr int kAll = P * NV;
  constexpr int64_t kWidth = V::kWidth;
  Reg sum[R][kAll];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kAll; ++v) sum[i][v] = V::Zero();
  }
  const int64_t lda = g.lda, panel = g.panel;
  const float* row = ahead.line;
  for (int64_t at = 0; at < g.depth; row += ahead.stride) {
    const int64_t end = at + ahead.turn < g.depth ? at + ahead.turn : g.depth;
    for (const float* line = row; at < end; ++at, line += ahead.next) {
      __builtin_prefetch(line, 0, 2);
      Reg x[kAll];
#pragma GCC unroll 8
      for (int v = 0; v < kAll; ++v) x[v] = V::Load(b + at * nr + v / NV * panel + v % NV * kWidth);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        const Reg broadcast = V::Set1(a[i * lda + at]);
#pragma GCC unroll 8
        for (int v = 0; v < kAll; ++v) sum[i][v] = V::Fma(broadcast, x[v], sum[i][v]);
      }
    }
  }

  const auto mask = V::Mask(n - (kAll - 1) * kWidth);
  const auto add = [&](const float* from, int64_t stride) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
      for (int v = 0; v < kAll; ++v) {
        const float* at = from + i * stride + v * kWidth;
        sum[i][v] = V::Add(sum[i][v], v == kAll - 1 ? V::LoadPart(at, mask) : V::Load(at));
      }
    }
  };
  if (!g.first) {
    add(c, g.ldc);
  } else if (bias != nullptr) {
    add(bias, 0);
  }
  if (g.clamped) {
    const Reg low = V::Set1(g.clamp.low), high = V::Set1(g.clamp.high);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
      for (int v = 0; v < kAll; ++v) sum[i][v] = V::Min(high, V::Max(low, sum[i][v]));
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kAll; ++v) {
      float* const to = c + i * g.ldc + v * kWidth;
      if (v == kAll - 1) {
        V::StorePart(to, mask, sum[i][v]);
      } else {
        V::Store(to, sum[i][v]);
      }
    }
  }
}

// A tile of `rows` of at most R.
template <class V, int R, int NV, int P>
inline void GemmTileOf(int64_t rows, const GemmPlace<V>& g, int64_t nr, const float* a,
                       const GemmAhead& ahead, const float* b, const float* bias, float* c,
                       int64_t n) noexcept {
  if (rows == R) {
    GemmTile<V, R, NV, P>(g, nr, a, ahead, b, bias, c, n);
  } else if constexpr (R > 1) {
    GemmTileOf<V, R - 1, NV, P>(rows, g, nr, a, ahead, b, bias, c, n);
  }
}

// The share of the next panel of b that is fetched while tile `index` of `tiles` is multiplied.
template <class V>
inline GemmAhead AheadInPanel(const float* panel, int64_t nr, int64_t depth, int64_t index,
                              int64_t tiles) noexcept {
  constexpr int64_t kLine = 16;  // floats
  const int64_t share = (nr + tiles - 1) / tiles, next = share < kLine ? share : kLine;
  return {panel + index * next * depth, next, 0, depth};
}

// The share of the next tile's rows of a that is fetched while panel `index` of `panels` is multiplied.
template <class V>
inline GemmAhead AheadInRows(const float* a, int64_t rows, int64_t lda, int64_t depth, int64_t index,
                             int64_t panels) noexcept {
  const int64_t first = rows * index / panels, count = rows * (index + 1) / panels - first;
  if (count == 0) return {a, 0, 0, depth};
  return {a + first * lda, count, lda, (depth + count - 1) / count};
}

// Rows of a tile by the n columns of a panel, by as many vectors as these need.
template <class V, int R, int NV, int P>
inline void GemmColumns(int64_t rows, const GemmPlace<V>& g, int64_t nr, const float* a,
                        const GemmAhead& ahead, const float* b, const float* bias, float* c,
                        int64_t n) noexcept {
  if (NV == 1 || P > 1 || n > (NV - 1) * V::kWidth) {
    GemmTileOf<V, R, NV, P>(rows, g, nr, a, ahead, b, bias, c, n);
  } else if constexpr (NV > 1 && P == 1) {
    GemmColumns<V, R, NV - 1, P>(rows, g, nr, a, ahead, b, bias, c, n);
  }
}

// The rows of tile `index` when m are cut into near equal tiles of at most R: 49 rows in tiles of 12 would
// leave a lone one, which takes as long as six.
template <class V, int R>
inline int64_t GemmRow(int64_t m, int64_t tiles, int64_t index) noexcept {
  return index * (m / tiles) + (index < m % tiles ? index : m % tiles);
}

// A block of c, [m × columns], of one part of k; P panels at a time.
template <class V, int R, int NV, int P>
inline void GemmBlock(const GemmPlace<V>& g, int64_t m, int64_t columns, const float* a, const float* b,
                      const float* bias, float* c) noexcept {
  constexpr int64_t kNr = NV * V::kWidth, kWide = P * kNr;
  const int64_t tiles = (m + R - 1) / R;
  const bool few = m <= kGemmFewRows;
  const auto tile = [&](int64_t index, int64_t col) {
    const int64_t row = GemmRow<V, R>(m, tiles, index), end = GemmRow<V, R>(m, tiles, index + 1);
    const int64_t n = col + kWide < columns ? kWide : columns - col;
    GemmAhead ahead{a, 0, 0, g.depth};
    if (few && col + kWide < columns) {
      ahead = AheadInPanel<V>(b + (col / kNr + P) * g.panel, kNr, g.depth, index, tiles);
    } else if (!few && index + 1 < tiles) {
      ahead = AheadInRows<V>(a + end * g.lda, R, g.lda, g.depth, col / kWide, (columns + kWide - 1) / kWide);
    }
    GemmColumns<V, R, NV, P>(end - row, g, kNr, a + row * g.lda, ahead, b + col / kNr * g.panel,
                             bias == nullptr ? nullptr : bias + col, c + row * g.ldc + col, n);
  };
  if (few) {
    for (int64_t col = 0; col < columns; col += kWide)
      for (int64_t index = 0; index < tiles; ++index) tile(index, col);
  } else {
    for (int64_t index = 0; index < tiles; ++index)
      for (int64_t col = 0; col < columns; col += kWide) tile(index, col);
  }
}

template <class V, int R, int NV>
inline void Gemm(const GemmArgs& g) noexcept {
  constexpr int64_t kNr = NV * V::kWidth;
  // Rows so few that their sums do not fill the latency of the multiply-add: several panels at once.
  constexpr int kFew = R < 3 ? R : 3, kPanels = (R == 1 ? 8 : 4) / NV;
  if (g.m == 0) return;
  const int64_t most = GemmShare<V>(g.k, kGemmDepth, 16), wide = GemmShare<V>(g.n, kGemmColumns, kNr);
  for (int64_t n0 = 0; n0 < g.n; n0 += wide) {
    const int64_t columns = n0 + wide < g.n ? wide : g.n - n0;
    const int64_t several = g.m > kFew ? 0 : columns / (kPanels * kNr) * (kPanels * kNr);
    int64_t k0 = 0;
    do {  // once even for k == 0, which leaves the bias
      const int64_t depth = k0 + most < g.k ? most : g.k - k0;
      const bool clamped =
          k0 + depth == g.k && (g.clamp.low > -__builtin_inff() || g.clamp.high < __builtin_inff());
      const GemmPlace<V> place{g.lda, g.ldc, g.k * kNr, depth, k0 == 0, clamped, g.clamp};
      const float* const b = g.b + n0 * g.k + k0 * kNr;
      const float* const bias = g.bias == nullptr ? nullptr : g.bias + n0;
      if (several > 0) GemmBlock<V, kFew, NV, kPanels>(place, g.m, several, g.a + k0, b, bias, g.c + n0);
      if (several < columns)
        GemmBlock<V, R, NV, 1>(place, g.m, columns - several, g.a + k0, b + several * g.k,
                               bias == nullptr ? nullptr : bias + several, g.c + n0 + several);
      k0 += depth;
    } while (k0 < g.k);
  }
}

}  // namespace strop::engine
