#pragma once

#include <cstdint>
#include <cstring>

#include "strop/engine/kernels/int8_gemm/args.h"

// The one shape of every integer GEMM kernel, over a vector type V of the ISA file. Of kWidth lanes of 32
// bits: Reg, Set1, Zero, Load (four bytes a lane), LoadSums, StoreSums, Xor, Add, and Dot(sum, a, b), which
// adds to each lane the four products of a's unsigned with b's signed bytes. kPairs: it adds pairs of them in
// 16 bits; then also Pick(p, picks), each byte that of p[kInt8RestSpan] which the one of picks numbers, and
// PickOf(p, n, picks) where p has but n bytes. Of floats: Float, SetFloat, LoadFloats, StoreFloats, ToFloat,
// Mul, AddFloats, Max, Min, and Round (to the nearest even; what 32 bits do not hold is their lowest number,
// as cvtps2dq has it). StorePart of sums or floats stores the first n lanes. StoreBytes<NV, kSigned> stores
// the first n columns of 4 / NV rows of NV vectors as bytes, `zero` added, both steps saturated. V lies in
// the ISA file's unnamed namespace and is a parameter of every function, so that each file keeps its own
// instances.
//
// b lies in panels of nr columns, each in groups of four rows: [panel][k / 4][nr][4].
namespace strop::engine {

inline constexpr int kInt8Group = 4;

// sums[R][nr] = start + a[R × k] · panel of g from column col on, for the first NV vectors of columns. U
// independent sums along k hide the latency of the products where R · NV alone are too few.
template <class V, int R, int NV, int U, bool kFlip>
inline void Int8Tile(const Int8GemmArgs& g, const uint8_t* a, const int8_t* panel, int64_t nr, int64_t col,
                     const int32_t* start, int32_t* sums) noexcept {
  using Reg = typename V::Reg;
  const Reg flips = V::Set1(0x80808080);
  Reg sum[U][R][NV];
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[u][i][v] = u == 0 ? V::LoadSums(start + v * V::kWidth) : V::Zero();
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
  int64_t rest[NV] = {};
  const bool has_rests = V::kPairs && g.rest_begin != nullptr;
  for (int v = 0; has_rests && v < NV; ++v) rest[v] = g.rest_begin[col / V::kWidth + v];
  // Those of the rows of b from `begin` up to `end`; `rows` are the bytes of a for row `begin`.
  const auto add_rests = [&](const uint8_t* rows, int64_t begin, int64_t end, auto pick) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      int64_t at = rest[v];
      for (; g.rest_row[at] < end; ++at) {
        const int8_t* const vectors = g.rests + at * 2 * V::kWidth * kInt8Group;
        const Reg b = V::Load(vectors), picks = V::Load(vectors + V::kWidth * kInt8Group);
        const uint8_t* const bytes = rows + g.rest_row[at] - begin;
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
          const Reg picked = pick(bytes + i * g.lda, picks);
          sum[0][i][v] = V::Dot(sum[0][i][v], kFlip ? V::Xor(picked, flips) : picked, b);
        }
      }
      rest[v] = at;
    }
  };
  const int64_t depth = g.tap_depth == 0 ? g.k : g.tap_depth, groups = depth / kInt8Group;
  const int64_t* offset = g.tap_offset;
  for (int64_t done = 0; done < g.k; done += depth, panel += groups * nr * kInt8Group) {
    const uint8_t* const part = offset == nullptr ? a : a + *offset++;
    int64_t group = 0;
    for (; group + U <= groups; group += U) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u)
        step(part + (group + u) * kInt8Group, g.lda, panel + (group + u) * nr * kInt8Group, u);
    }
    for (; group < groups; ++group)
      step(part + group * kInt8Group, g.lda, panel + group * nr * kInt8Group, 0);
    if constexpr (V::kPairs) {
      if (!has_rests) continue;
      if (depth >= kInt8RestSpan) {
        add_rests(part, done, done + depth, [](const uint8_t* p, Reg picks) { return V::Pick(p, picks); });
      } else {
        add_rests(part, done, done + depth,
                  [&](const uint8_t* p, Reg picks) { return V::PickOf(p, depth, picks); });
      }
    }
  }
  // Of one part alone.
  if (const int64_t left = g.k % kInt8Group; left > 0) {
    uint8_t last[R * kInt8Group] = {};
    for (int i = 0; i < R; ++i)
      std::memcpy(last + i * kInt8Group, a + i * g.lda + groups * kInt8Group, static_cast<size_t>(left));
    step(last, kInt8Group, panel, 0);
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

// What the columns of a panel are begun and finished with, zeros beyond n.
template <class V, int kNr>
struct Int8Columns {
  alignas(64) int32_t correction[kNr] = {};
  alignas(64) float scale[kNr] = {};
  alignas(64) float offset[kNr] = {};
  // Of bytes: the bounds of y, and whether any but those of the byte itself could hold: |sum · scale +
  // offset| below 2^31 is rounded to an integer that saturation then bounds.
  float low = 0, high = 0;
  bool clamps = true;

  // `flipped`: signed bytes of a were multiplied as a + 128.
  Int8Columns(const Int8GemmArgs& g, int64_t col, int64_t n, bool flipped) noexcept {
    const auto count = static_cast<size_t>(n);
    if (g.correction != nullptr) std::memcpy(correction, g.correction + col, count * sizeof(int32_t));
    for (int64_t i = 0; flipped && i < n; ++i)
      correction[i] = static_cast<int32_t>(static_cast<uint32_t>(correction[i]) -
                                           128 * static_cast<uint32_t>(g.sums[col + i]));
    if (g.output == Int8Output::kS32) return;
    std::memcpy(scale, g.scale + col, count * sizeof(float));
    std::memcpy(offset, g.offset + col, count * sizeof(float));
    if (g.output != Int8Output::kF32) Bound(g);
  }

 private:
  void Bound(const Int8GemmArgs& g) noexcept {
    const int32_t least = g.output == Int8Output::kS8 ? -128 : 0;
    const auto lowest = static_cast<float>(least - g.zero),
               highest = static_cast<float>(least + 255 - g.zero);
    const auto within = [&](float bound) {
      return bound < lowest ? lowest : bound > highest ? highest : bound;
    };
    low = within(g.clamp.low);
    high = within(g.clamp.high);
    // |sum| <= 2^31, so that |y| <= 2^30 + 2^29. NaN is the lowest byte either way.
    clamps = low > lowest || high < highest || Largest(scale) > 0.5f || Largest(offset) > 0x1p29f;
  }
  static float Largest(const float* x) noexcept {
    const auto minus = V::SetFloat(-1);
    auto most = V::SetFloat(0);
    for (int i = 0; i < kNr; i += V::kWidth) {
      const auto value = V::LoadFloats(x + i);
      most = V::Max(V::Max(value, V::Mul(value, minus)), most);
    }
    float lanes[V::kWidth], largest = 0;
    V::StoreFloats(lanes, most);
    for (const float lane : lanes) largest = lane > largest ? lane : largest;
    return largest;
  }
};

// A vector of sums, to which kCorrects adds what they were not begun with.
template <class V, bool kCorrects>
inline typename V::Reg Int8Sums(const int32_t* sums, const int32_t* correction) noexcept {
  if constexpr (kCorrects) return V::Add(V::LoadSums(sums), V::LoadSums(correction));
  return V::LoadSums(sums);
}

// Rows of n columns of c from their sums.
template <class V, int kNr, int NV, bool kCorrects, bool kSigned, bool kClamps>
inline void Int8FinishBytes(const Int8GemmArgs& g, const Int8Columns<V, kNr>& columns, const int32_t* sums,
                            int64_t rows, uint8_t* out, int64_t n) noexcept {
  constexpr int64_t kRows = NV >= 3 ? 1 : 4 / NV;
  const auto low = V::SetFloat(columns.low), high = V::SetFloat(columns.high);
  const auto zero = V::SetZero(g.zero);
  for (int64_t row = 0; row < rows; row += kRows, sums += kRows * kNr, out += kRows * g.ldc) {
    typename V::Reg bytes[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      if (NV == 3 && i == 3) {
        bytes[i] = bytes[0];
        continue;
      }
      const int64_t at = i / NV * kNr + i % NV * V::kWidth, of = i % NV * V::kWidth;
      const auto sum = Int8Sums<V, kCorrects>(sums + at, columns.correction + of);
      auto y = V::AddFloats(V::Mul(V::ToFloat(sum), V::LoadFloats(columns.scale + of)),
                            V::LoadFloats(columns.offset + of));
      if (kClamps) y = V::Min(V::Max(y, low), high);
      bytes[i] = V::Round(y);
    }
    V::template StoreBytes<NV, kSigned>(out, g.ldc, rows - row, n, bytes, zero);
  }
}

template <class V, int kNr, int NV, bool kCorrects>
inline void Int8FinishWords(const Int8GemmArgs& g, const Int8Columns<V, kNr>& columns, const int32_t* sums,
                            int64_t rows, char* out, int64_t n) noexcept {
  const auto low = V::SetFloat(g.clamp.low), high = V::SetFloat(g.clamp.high);
  for (int64_t row = 0; row < rows; ++row, sums += kNr, out += g.ldc * 4) {
    for (int v = 0; v < NV; ++v) {
      const int64_t at = v * V::kWidth, left = n - at < V::kWidth ? n - at : V::kWidth;
      const auto sum = Int8Sums<V, kCorrects>(sums + at, columns.correction + at);
      if (g.output == Int8Output::kS32) {
        V::StorePart(reinterpret_cast<int32_t*>(out) + at, left, sum);
        continue;
      }
      const auto y = V::AddFloats(V::Mul(V::ToFloat(sum), V::LoadFloats(columns.scale + at)),
                                  V::LoadFloats(columns.offset + at));
      V::StorePart(reinterpret_cast<float*>(out) + at, left, V::Min(V::Max(y, low), high));
    }
  }
}

// Rows of n columns of c, from row `row` and column `col` on; `sums` are theirs, kNr a row, rows up to the
// next multiple of 4 / NV. kCorrects: they lack the columns' correction.
template <class V, int kNr, int NV, bool kCorrects = false>
[[gnu::noinline]] void Int8Finish(const Int8GemmArgs& g, const Int8Columns<V, kNr>& columns,
                                  const int32_t* sums, int64_t row, int64_t rows, int64_t col,
                                  int64_t n) noexcept {
  const int64_t at = row * g.ldc + col;
  if (g.output == Int8Output::kS32 || g.output == Int8Output::kF32)
    return Int8FinishWords<V, kNr, NV, kCorrects>(g, columns, sums, rows, static_cast<char*>(g.c) + at * 4,
                                                  n);
  auto* const out = static_cast<uint8_t*>(g.c) + at;
  const auto finish = [&](auto bytes) { bytes(g, columns, sums, rows, out, n); };
  if (g.output == Int8Output::kU8) {
    if (columns.clamps) return finish(Int8FinishBytes<V, kNr, NV, kCorrects, false, true>);
    return finish(Int8FinishBytes<V, kNr, NV, kCorrects, false, false>);
  }
  if (columns.clamps) return finish(Int8FinishBytes<V, kNr, NV, kCorrects, true, true>);
  finish(Int8FinishBytes<V, kNr, NV, kCorrects, true, false>);
}

// One tile of rows from `row` on, the last one over rows that the one before has done; answers how many rows
// are done then. Fewer rows than a tile's take one of half as many.
template <class V, int kNr, int R, int NV, bool kFlip>
inline int64_t Int8Rows(const Int8GemmArgs& g, const Int8Columns<V, kNr>& columns, const int8_t* panel,
                        int64_t row, int64_t col, int64_t n) noexcept {
  if constexpr (R > 1) {
    if (g.m < R || g.m - row <= R / 2)
      return Int8Rows<V, kNr, R / 2, NV, kFlip>(g, columns, panel, row, col, n);
  }
  constexpr int kSums = R * NV >= 8 ? 1 : R * NV >= 4 ? 2 : 4;
  const int64_t first = row + R <= g.m ? row : g.m - R;
  constexpr int64_t kTogether = NV >= 3 ? 1 : 4 / NV, kSumRows = (R + kTogether - 1) / kTogether * kTogether;
  alignas(64) int32_t sums[kSumRows * kNr];
  for (int64_t i = int64_t{R} * kNr; i < kSumRows * kNr; ++i) sums[i] = 0;
  Int8Tile<V, R, NV, kSums, kFlip>(g, g.a + first * g.lda, panel, kNr, col, columns.correction, sums);
  Int8Finish<V, kNr, NV>(g, columns, sums, first, R, col, n);
  return first + R;
}

// Chooses as many vectors as the n columns of a panel need: the fewer, the more rows, up to 16, so that the
// sums fill the registers and the loads of a row's four bytes find products to hide behind.
template <class V, int kNr, int R, int NV, bool kFlip>
inline void Int8Panel(const Int8GemmArgs& g, const int8_t* panel, int64_t col, int64_t n) noexcept {
  if constexpr (NV > 1) {
    if (n <= (NV - 1) * V::kWidth) return Int8Panel<V, kNr, R, NV - 1, kFlip>(g, panel, col, n);
  }
  constexpr int kMost = static_cast<int>(R * kNr / V::kWidth / NV);
  constexpr int kTall = R == 1 ? 1 : kMost < 16 ? kMost : 16;
  const Int8Columns<V, kNr> columns(g, col, n, kFlip);
  const int64_t size = g.output == Int8Output::kU8 || g.output == Int8Output::kS8 ? 1 : 4;
  Int8GemmArgs run = g;
  if (g.run != 0) run.m = g.run;
  for (int64_t done = 0; done < g.m; done += run.m) {
    for (int64_t row = 0; row < run.m;)
      row = Int8Rows<V, kNr, kTall, NV, kFlip>(run, columns, panel, row, col, n);
    run.a += g.run_stride;
    run.c = static_cast<char*>(run.c) + run.m * g.ldc * size;
  }
}

// A panel stays in L2 while all rows pass by it.
template <class V, int R, int NV>
inline void Int8Gemm(const Int8GemmArgs& g) noexcept {
  constexpr int64_t kNr = NV * V::kWidth;
  const int64_t depth = (g.k + kInt8Group - 1) / kInt8Group * kInt8Group;
  for (int64_t col = 0; col < g.n; col += kNr) {
    const int64_t width = col + kNr < g.n ? kNr : g.n - col;
    if (g.is_signed) {
      Int8Panel<V, kNr, R, NV, true>(g, g.b + col * depth, col, width);
    } else {
      Int8Panel<V, kNr, R, NV, false>(g, g.b + col * depth, col, width);
    }
  }
}

}  // namespace strop::engine
