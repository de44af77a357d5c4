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
// Each element of c is one chain of multiply-adds, from the bias on and k upwards.
namespace strop::engine {

// Most of k between visits to c, and most columns between visits to a: so much of b, 576 KiB, stays in L2.
inline constexpr int64_t kGemmDepth = 384;
inline constexpr int64_t kGemmColumns = 384;
// Up to so many rows all of them, from L2, pass by a panel of b before the next one comes, which is fetched
// meanwhile: weights that a network has not touched since its last run come from beyond L2 (MiniLM, 128 rows:
// 23.7 to 21.1 ms). Of more, a tile of a stays in L1 while the panels pass by it.
inline constexpr int64_t kGemmFewRows = 128;

// Of so many floats and more a comes from beyond L2.
inline constexpr int64_t kGemmNear = 128 << 10;
// With so little of k, or more panels of b than these to spread the wait for a over, fetching costs more than
// it saves.
inline constexpr int64_t kGemmShort = 64, kGemmNarrow = 4;

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

// What to fetch into L2 meanwhile, something with each step of k: `turn` times of one row, then of the next.
// Without it the wait for L3 takes about 5 % of 3136 x 576 by 64 columns and 9 % of 49 x 4608 by 512 (Emerald
// Rapids).
struct GemmAhead {
  const float* line;
  int64_t next;    // floats from one fetch to the next; 0: nothing is to be fetched
  int64_t stride;  // floats from a row to the next
  int64_t turn;
};

// c[R × n] (+)= a[R × depth] · b over P panels of NV vectors, the last one of them in part.
// Without kFetch it is a plain loop, and `ahead` is not read.
template <class V, int R, int NV, int P, bool kFetch>
inline void GemmTile(const GemmPlace<V>& g, int64_t nr, const float* a, const GemmAhead& ahead,
                     const float* b, const float* bias, float* c, int64_t n) noexcept {
  using Reg = typename V::Reg;
  constexpr int kAll = P * NV;
  constexpr int64_t kWidth = V::kWidth;
  Reg sum[R][kAll];
  const auto mask = V::Mask(n - (kAll - 1) * kWidth);
  const auto begin = [&](const float* from, int64_t stride) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
      for (int v = 0; v < kAll; ++v) {
        const float* at = from + i * stride + v * kWidth;
        sum[i][v] = v == kAll - 1 ? V::LoadPart(at, mask) : V::Load(at);
      }
    }
  };
  if (!g.first) {
    begin(c, g.ldc);
  } else if (bias != nullptr) {
    begin(bias, 0);
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
      for (int v = 0; v < kAll; ++v) sum[i][v] = V::Zero();
    }
  }
  const int64_t lda = g.lda, panel = g.panel;
  const auto step = [&](int64_t at) {
    Reg x[kAll];
#pragma GCC unroll 8
    for (int v = 0; v < kAll; ++v) x[v] = V::Load(b + at * nr + v / NV * panel + v % NV * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Reg broadcast = V::Set1(a[i * lda + at]);
#pragma GCC unroll 8
      for (int v = 0; v < kAll; ++v) sum[i][v] = V::Fma(broadcast, x[v], sum[i][v]);
    }
  };
  if constexpr (kFetch) {
    const float* row = ahead.line;
    for (int64_t at = 0; at < g.depth; row += ahead.stride) {
      const int64_t end = at + ahead.turn < g.depth ? at + ahead.turn : g.depth;
      for (const float* line = row; at < end; ++at, line += ahead.next) {
        __builtin_prefetch(line, 0, 2);
        step(at);
      }
    }
  } else {
    for (int64_t at = 0; at < g.depth; ++at) step(at);
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
template <class V, int R, int NV, int P, bool kFetch>
inline void GemmRows(int64_t rows, const GemmPlace<V>& g, int64_t nr, const float* a, const GemmAhead& ahead,
                     const float* b, const float* bias, float* c, int64_t n) noexcept {
  if (rows == R) {
    GemmTile<V, R, NV, P, kFetch>(g, nr, a, ahead, b, bias, c, n);
  } else if constexpr (R > 1) {
    GemmRows<V, R - 1, NV, P, kFetch>(rows, g, nr, a, ahead, b, bias, c, n);
  }
}

// Rows of a tile by the n columns of a panel, by as many vectors as these need.
template <class V, int R, int NV, int P, bool kFetch>
inline void GemmColumns(int64_t rows, const GemmPlace<V>& g, int64_t nr, const float* a,
                        const GemmAhead& ahead, const float* b, const float* bias, float* c,
                        int64_t n) noexcept {
  if (NV == 1 || P > 1 || n > (NV - 1) * V::kWidth) {
    GemmRows<V, R, NV, P, kFetch>(rows, g, nr, a, ahead, b, bias, c, n);
  } else if constexpr (NV > 1 && P == 1) {
    GemmColumns<V, R, NV - 1, P, kFetch>(rows, g, nr, a, ahead, b, bias, c, n);
  }
}

// A block of c, [m × columns], of one part of k; P panels at a time. The tiles are near equal: 49 rows in
// tiles of 12 would leave a lone one, which takes as long as six.
template <class V, int R, int NV, int P>
inline void GemmBlock(const GemmPlace<V>& g, int64_t m, int64_t columns, const float* a, const float* b,
                      const float* bias, float* c) noexcept {
  constexpr int64_t kNr = NV * V::kWidth, kWide = P * kNr, kLine = 16;  // floats
  const int64_t tiles = (m + R - 1) / R, height = m / tiles, taller = m % tiles;
  const auto tile = [&]<bool kFetch>(int64_t row, int64_t rows, int64_t col, const GemmAhead& ahead) {
    GemmColumns<V, R, NV, P, kFetch>(rows, g, kNr, a + row * g.lda, ahead, b + col / kNr * g.panel,
                                     bias == nullptr ? nullptr : bias + col, c + row * g.ldc + col,
                                     col + kWide < columns ? kWide : columns - col);
  };
  const auto plain = [&](int64_t row, int64_t rows, int64_t col) {
    tile.template operator()<false>(row, rows, col, GemmAhead{});
  };
  const auto fetching = [&](int64_t row, int64_t rows, int64_t col, const GemmAhead& ahead) {
    tile.template operator()<P == 1>(row, rows, col, ahead);
  };
  if (P == 1 && m <= kGemmFewRows) {
    // Each tile fetches its share of the next panel.
    const int64_t share = (kNr + tiles - 1) / tiles, next = share < kLine ? share : kLine;
    for (int64_t col = 0; col < columns; col += kWide) {
      const float* line = b + (col / kNr + 1) * g.panel;
      for (int64_t index = 0, row = 0; index < tiles; ++index, line += next * g.depth) {
        const int64_t rows = height + (index < taller);
        if (col + kWide < columns) {
          fetching(row, rows, col, {line, next, 0, g.depth});
        } else {
          plain(row, rows, col);
        }
        row += rows;
      }
    }
    return;
  }
  const bool far = P == 1 && m * g.lda > kGemmNear && g.depth > kGemmShort && columns <= kGemmNarrow * kNr;
  const int64_t share = far ? (R * kWide + columns - 1) / columns : 0;
  const int64_t turn = far ? (g.depth + share - 1) / share : 0;
  for (int64_t index = 0, row = 0; index < tiles; ++index) {
    const int64_t rows = height + (index < taller);
    int64_t col = 0;
    if (far && index + 1 < tiles) {
      // Each panel fetches its share of the next tile's rows.
      for (int64_t first = 0; col < columns && first < rows; col += kWide, first += share)
        fetching(row, rows, col, {a + (row + rows + first) * g.lda, share, g.lda, turn});
    }
    for (; col < columns; col += kWide) plain(row, rows, col);
    row += rows;
  }
}

template <class V, int R, int NV>
inline void Gemm(const GemmArgs& g) noexcept {
  constexpr int64_t kNr = NV * V::kWidth;
  // Rows so few that their sums do not fill the latency of the multiply-add: several panels at once, as far
  // as the registers go (a tile of 12 rows has 32 of them).
  constexpr int kMostFew = R < 12 ? 3 : 4, kFew = R < kMostFew ? R : kMostFew;
  constexpr int kPanels = (R == 1 ? 8 : 4) / NV;
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
