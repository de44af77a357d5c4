#pragma once

#include <cstdint>

#include "strop/engine/kernels/gemm/args.h"

// The one shape of every GEMM kernel, over a vector type V of the ISA file: kWidth, Reg, Zero, Set1, Load,
// Store, LoadPart and StorePart of `count` lanes, Fma(a, b, c) = a·b + c, Add, MaxZero. V lies in the ISA
// file's unnamed namespace, so that each file keeps its own instances. Goto and van de Geijn, "Anatomy of
// high-performance matrix multiplication" (2008), without packing a: its rows are read by broadcast.
namespace strop::engine {

// How much of k is multiplied between visits to c: a panel of 32 columns is then 32 KiB.
inline constexpr int64_t kGemmDepth = 256;
// Columns between visits to a: kGemmDepth × kGemmColumns weights are 512 KiB, within L2.
inline constexpr int64_t kGemmColumns = 512;

// c[R × n] (+)= a[R × k] · panel[k × nr] for n <= NV·kWidth columns. U independent sums along k hide the
// latency of the multiply-add where R · NV alone are too few.
template <class V, int R, int NV, int U>
inline void GemmTile(const float* a, int64_t lda, int64_t k, const float* panel, int64_t nr, float* c,
                     int64_t ldc, int64_t n, const float* bias, bool first, bool relu) noexcept {
  using Reg = typename V::Reg;
  constexpr int64_t kWidth = V::kWidth;
  const int64_t tail = n - (NV - 1) * kWidth;  // lanes of the last vector, 1 … kWidth
  const bool whole = tail == kWidth;
  Reg sum[U][R][NV];
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[u][i][v] = V::Zero();
    }
  }
  int64_t at = 0;
  for (; at + U <= k; at += U) {
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
      Reg b[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) b[v] = V::Load(panel + (at + u) * nr + v * kWidth);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        const Reg broadcast = V::Set1(a[i * lda + at + u]);
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sum[u][i][v] = V::Fma(broadcast, b[v], sum[u][i][v]);
      }
    }
  }
  for (; at < k; ++at) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Reg broadcast = V::Set1(a[i * lda + at]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        sum[0][i][v] = V::Fma(broadcast, V::Load(panel + at * nr + v * kWidth), sum[0][i][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      Reg value = sum[0][i][v];
#pragma GCC unroll 4
      for (int u = 1; u < U; ++u) value = V::Add(value, sum[u][i][v]);
      const bool part = v == NV - 1 && !whole;
      float* out = c + i * ldc + v * kWidth;
      if (!first) {
        value = V::Add(value, part ? V::LoadPart(out, tail) : V::Load(out));
      } else if (bias != nullptr) {
        const float* from = bias + v * kWidth;
        value = V::Add(value, part ? V::LoadPart(from, tail) : V::Load(from));
      }
      if (relu) value = V::MaxZero(value);
      if (part) {
        V::StorePart(out, tail, value);
      } else {
        V::Store(out, value);
      }
    }
  }
}

// Rows of a tile that are left over: the same tile with fewer rows.
template <class V, int R, int NV>
inline void GemmRows(int64_t rows, const float* a, int64_t lda, int64_t k, const float* panel, int64_t nr,
                     float* c, int64_t ldc, int64_t n, const float* bias, bool first, bool relu) noexcept {
  if (rows == R) {
    constexpr int kSums = R * NV >= 8 ? 1 : R * NV >= 4 ? 2 : 4;
    GemmTile<V, R, NV, kSums>(a, lda, k, panel, nr, c, ldc, n, bias, first, relu);
  } else if constexpr (R > 1) {
    GemmRows<V, R - 1, NV>(rows, a, lda, k, panel, nr, c, ldc, n, bias, first, relu);
  }
}

// Chooses as many vectors as the n columns of a panel need.
template <class V, int R, int NV>
inline void GemmPanel(int64_t rows, const float* a, int64_t lda, int64_t k, const float* panel, int64_t nr,
                      float* c, int64_t ldc, int64_t n, const float* bias, bool first, bool relu) noexcept {
  if (n > (NV - 1) * V::kWidth) {
    GemmRows<V, R, NV>(rows, a, lda, k, panel, nr, c, ldc, n, bias, first, relu);
  } else if constexpr (NV > 1) {
    GemmPanel<V, R, NV - 1>(rows, a, lda, k, panel, nr, c, ldc, n, bias, first, relu);
  }
}

template <class V, int R, int NV>
inline void Gemm(const GemmArgs& g) noexcept {
  constexpr int64_t kNr = NV * V::kWidth;
  for (int64_t n0 = 0; n0 < g.n; n0 += kGemmColumns) {
    const int64_t n1 = n0 + kGemmColumns < g.n ? n0 + kGemmColumns : g.n;
    int64_t k0 = 0;
    do {  // once even for k == 0, which leaves act(bias)
      const int64_t depth = k0 + kGemmDepth < g.k ? kGemmDepth : g.k - k0;
      const bool relu = g.relu && k0 + depth == g.k;
      for (int64_t row = 0; row < g.m; row += R) {
        const int64_t rows = row + R < g.m ? R : g.m - row;
        for (int64_t col = n0; col < n1; col += kNr) {
          const int64_t columns = col + kNr < n1 ? kNr : n1 - col;
          GemmPanel<V, R, NV>(rows, g.a + row * g.lda + k0, g.lda, depth, g.b + col * g.k + k0 * kNr, kNr,
                              g.c + row * g.ldc + col, g.ldc, columns,
                              g.bias == nullptr ? nullptr : g.bias + col, k0 == 0, relu);
        }
      }
      k0 += depth;
    } while (k0 < g.k);
  }
}

// A row at a time, each panel read once from end to end: nothing but the weights' bandwidth counts.
template <class V, int NV>
inline void Gemv(const GemmArgs& g) noexcept {
  constexpr int64_t kNr = NV * V::kWidth;
  for (int64_t col = 0; col < g.n; col += kNr) {
    const int64_t columns = col + kNr < g.n ? kNr : g.n - col;
    for (int64_t row = 0; row < g.m; ++row) {
      GemmPanel<V, 1, NV>(1, g.a + row * g.lda, g.lda, g.k, g.b + col * g.k, kNr, g.c + row * g.ldc + col,
                          g.ldc, columns, g.bias == nullptr ? nullptr : g.bias + col, true, g.relu);
    }
  }
}

}  // namespace strop::engine
