#pragma once

#include <cstdint>
#include <cstring>

#include "strop/engine/kernels/int8_gemm/args.h"

// The one shape of every integer GEMM kernel, over a vector type V of the ISA file. Of kWidth lanes of 32
// bits: Reg, Zero, Set1, Load (four bytes a lane), LoadSums, StoreSums, Xor, Add, and Dot(sum, a, b), which
// adds to each lane the four products of a's unsigned with b's signed bytes. Of floats: Float, SetFloat,
// LoadFloats, StoreFloats, ToFloat, Mul, AddFloats, Max, Min, Round (to the nearest even), and StoreBytes,
// which stores the lowest byte of each lane. V lies in the ISA file's unnamed namespace and is a parameter of
// every function, so that each file keeps its own instances.
//
// b lies in panels of nr columns, each in groups of four rows: [panel][k / 4][nr][4].
namespace strop::engine {

inline constexpr int kInt8Group = 4;

// sums[R][nr] = a[R × k] · panel, for the first NV vectors of columns. U independent sums along k hide the
// latency of the products where R · NV alone are too few.
template <class V, int R, int NV, int U, bool kFlip>
inline void Int8Tile(const uint8_t* a, int64_t lda, int64_t k, const int8_t* panel, int64_t nr,
                     int32_t* sums) noexcept {
  using Reg = typename V::Reg;
  const Reg flips = V::Set1(0x80808080);
  Reg sum[U][R][NV];
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[u][i][v] = V::Zero();
    }
  }
  const auto step = [&](const uint8_t* rows, int64_t stride, const int8_t* weights, int u) {
    Reg b[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) b[v] = V::Load(weights + v * V::kWidth * kInt8Group);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      uint32_t four;
      std::memcpy(&four, rows + i * stride, sizeof four);
      // An exclusive or for four products each would take a fifth of the ports that multiply.
      const Reg broadcast = kFlip ? V::Xor(V::Set1(four), flips) : V::Set1(four);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[u][i][v] = V::Dot(sum[u][i][v], broadcast, b[v]);
    }
  };
  const int64_t groups = k / kInt8Group;
  int64_t group = 0;
  for (; group + U <= groups; group += U) {
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u)
      step(a + (group + u) * kInt8Group, lda, panel + (group + u) * nr * kInt8Group, u);
  }
  for (; group < groups; ++group) step(a + group * kInt8Group, lda, panel + group * nr * kInt8Group, 0);
  if (const int64_t left = k % kInt8Group; left > 0) {
    uint8_t last[R * kInt8Group] = {};
    for (int i = 0; i < R; ++i)
      std::memcpy(last + i * kInt8Group, a + i * lda + groups * kInt8Group, static_cast<size_t>(left));
    step(last, kInt8Group, panel + groups * nr * kInt8Group, 0);
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      Reg value = sum[0][i][v];
#pragma GCC unroll 4
      for (int u = 1; u < U; ++u) value = V::Add(value, sum[u][i][v]);
      V::StoreSums(sums + i * nr + v * V::kWidth, value);
    }
  }
}

// Rows of a tile that are left over: the same tile with fewer rows.
template <class V, int R, int NV, bool kFlip>
inline void Int8Rows(int64_t rows, const uint8_t* a, int64_t lda, int64_t k, const int8_t* panel, int64_t nr,
                     int32_t* sums) noexcept {
  if (rows == R) {
    constexpr int kSums = R * NV >= 8 ? 1 : R * NV >= 4 ? 2 : 4;
    Int8Tile<V, R, NV, kSums, kFlip>(a, lda, k, panel, nr, sums);
  } else if constexpr (R > 1) {
    Int8Rows<V, R - 1, NV, kFlip>(rows, a, lda, k, panel, nr, sums);
  }
}

// Chooses as many vectors as the n columns of a panel need.
template <class V, int R, int NV, bool kFlip>
inline void Int8Panel(int64_t rows, const uint8_t* a, int64_t lda, int64_t k, const int8_t* panel, int64_t nr,
                      int64_t n, int32_t* sums) noexcept {
  if (n > (NV - 1) * V::kWidth) {
    Int8Rows<V, R, NV, kFlip>(rows, a, lda, k, panel, nr, sums);
  } else if constexpr (NV > 1) {
    Int8Panel<V, R, NV - 1, kFlip>(rows, a, lda, k, panel, nr, n, sums);
  }
}

// What the columns of a panel are finished with, zeros beyond n.
template <class V, int kNr>
struct Int8Columns {
  alignas(64) int32_t correction[kNr] = {};
  alignas(64) float scale[kNr] = {};
  alignas(64) float offset[kNr] = {};

  // `flipped`: signed bytes of a were multiplied as a + 128.
  Int8Columns(const Int8GemmArgs& g, int64_t col, int64_t n, bool flipped) noexcept {
    const auto count = static_cast<size_t>(n);
    if (g.correction != nullptr) std::memcpy(correction, g.correction + col, count * sizeof(int32_t));
    for (int64_t i = 0; flipped && i < n; ++i)
      correction[i] = static_cast<int32_t>(static_cast<uint32_t>(correction[i]) -
                                           128 * static_cast<uint32_t>(g.sums[col + i]));
    if (g.scale != nullptr) std::memcpy(scale, g.scale + col, count * sizeof(float));
    if (g.offset != nullptr) std::memcpy(offset, g.offset + col, count * sizeof(float));
  }

  typename V::Reg Corrected(const int32_t* sums, int i) const noexcept {
    return V::Add(V::LoadSums(sums + i), V::LoadSums(correction + i));
  }
  typename V::Float Scaled(const int32_t* sums, int i) const noexcept {
    return V::AddFloats(V::Mul(V::ToFloat(Corrected(sums, i)), V::LoadFloats(scale + i)),
                        V::LoadFloats(offset + i));
  }
};

// kNr bytes of a row from its sums. What a byte can hold bounds the clamp.
template <class V, int kNr>
inline void Int8FinishBytes(const Int8GemmArgs& g, const Int8Columns<V, kNr>& columns, const int32_t* sums,
                            uint8_t* out) noexcept {
  const int32_t least = g.output == Int8Output::kS8 ? -128 : 0;
  const auto lowest = static_cast<float>(least - g.zero), highest = static_cast<float>(least + 255 - g.zero);
  const auto within = [&](float bound) {
    return bound < lowest ? lowest : bound > highest ? highest : bound;
  };
  const auto low = V::SetFloat(within(g.clamp.low)), high = V::SetFloat(within(g.clamp.high));
  const auto zero = V::Set1(static_cast<uint32_t>(g.zero));
  for (int i = 0; i < kNr; i += V::kWidth) {
    const auto y = V::Min(V::Max(columns.Scaled(sums, i), low), high);
    V::StoreBytes(out + i, V::Add(V::Round(y), zero));
  }
}

template <class V, int kNr>
inline void Int8FinishFloats(const Int8GemmArgs& g, const Int8Columns<V, kNr>& columns, const int32_t* sums,
                             float* out) noexcept {
  const auto low = V::SetFloat(g.clamp.low), high = V::SetFloat(g.clamp.high);
  for (int i = 0; i < kNr; i += V::kWidth)
    V::StoreFloats(out + i, V::Min(V::Max(columns.Scaled(sums, i), low), high));
}

template <class V, int kNr>
inline void Int8FinishSums(const Int8Columns<V, kNr>& columns, const int32_t* sums, int32_t* out) noexcept {
  for (int i = 0; i < kNr; i += V::kWidth) V::StoreSums(out + i, columns.Corrected(sums, i));
}

// A row of n elements of c, from element `at` on, of its sums.
template <class V, int kNr>
inline void Int8Finish(const Int8GemmArgs& g, const Int8Columns<V, kNr>& columns, const int32_t* sums,
                       int64_t at, int64_t n) noexcept {
  const bool bytes = g.output == Int8Output::kU8 || g.output == Int8Output::kS8;
  const int64_t size = bytes ? 1 : 4;
  char* const row = static_cast<char*>(g.c) + at * size;
  alignas(64) char part[kNr * 4];
  char* const out = n == kNr ? row : part;
  if (bytes) {
    Int8FinishBytes<V, kNr>(g, columns, sums, reinterpret_cast<uint8_t*>(out));
  } else if (g.output == Int8Output::kF32) {
    Int8FinishFloats<V, kNr>(g, columns, sums, reinterpret_cast<float*>(out));
  } else {
    Int8FinishSums<V, kNr>(columns, sums, reinterpret_cast<int32_t*>(out));
  }
  if (out == part) std::memcpy(row, part, static_cast<size_t>(n * size));
}

// What the outliers of a panel add to the sums of `rows` rows.
template <class V>
inline void AddOutliers(const Int8GemmArgs& g, int64_t panel, int64_t row, int64_t rows, int64_t nr,
                        int32_t* sums) noexcept {
  const uint8_t flip = g.is_signed ? 0x80 : 0;
  for (int64_t at = g.outlier_begin[panel]; at < g.outlier_begin[panel + 1]; ++at) {
    const Int8Outlier& outlier = g.outliers[at];
    const uint8_t* a = g.a + row * g.lda + outlier.k;
    int32_t* sum = sums + outlier.column;
    for (int64_t i = 0; i < rows; ++i) {
      const int32_t product = static_cast<uint8_t>(a[i * g.lda] ^ flip) * outlier.rest;
      sum[i * nr] = static_cast<int32_t>(static_cast<uint32_t>(sum[i * nr]) + static_cast<uint32_t>(product));
    }
  }
}

// A panel stays in L2 while all rows pass by it.
template <class V, int R, int NV, bool kFlip>
inline void Int8Panels(const Int8GemmArgs& g) noexcept {
  constexpr int64_t kNr = NV * V::kWidth;
  const int64_t depth = (g.k + kInt8Group - 1) / kInt8Group * kInt8Group;
  alignas(64) int32_t sums[R * kNr];
  for (int64_t col = 0; col < g.n; col += kNr) {
    const int64_t width = col + kNr < g.n ? kNr : g.n - col;
    const Int8Columns<V, kNr> columns(g, col, width, kFlip);
    for (int64_t row = 0; row < g.m; row += R) {
      const int64_t rows = row + R < g.m ? R : g.m - row;
      Int8Panel<V, R, NV, kFlip>(rows, g.a + row * g.lda, g.lda, g.k, g.b + col * depth, kNr, width, sums);
      if (g.outlier_begin != nullptr) AddOutliers<V>(g, col / kNr, row, rows, kNr, sums);
      for (int64_t i = 0; i < rows; ++i)
        Int8Finish<V, kNr>(g, columns, sums + i * kNr, (row + i) * g.ldc + col, width);
    }
  }
}

template <class V, int R, int NV>
inline void Int8Gemm(const Int8GemmArgs& g) noexcept {
  if (g.is_signed) {
    Int8Panels<V, R, NV, true>(g);
  } else {
    Int8Panels<V, R, NV, false>(g);
  }
}

}  // namespace strop::engine
