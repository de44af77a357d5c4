#pragma once

#include <cstdint>

namespace strop::engine {

// `steps` rounds of kPeakSums independent multiply-adds of whole vectors. Answers a value that depends on all
// of them. Operations done: steps * kPeakSums * lanes * 2, where lanes are the products of one vector.
inline constexpr int64_t kPeakSums = 12;

float peak_f32_scalar(int64_t steps) noexcept;
float peak_f32_avx2(int64_t steps) noexcept;
float peak_f32_avx512(int64_t steps) noexcept;

// Of bytes into sums of 32 bits, by the instructions of the integer GEMM. The answer is the sum of all
// products, each kPeakA * kPeakB, as far as float32 holds it.
inline constexpr int kPeakA = 3, kPeakB = 5;
float peak_int8_scalar(int64_t steps) noexcept;
float peak_int8_avx2(int64_t steps) noexcept;
float peak_int8_avx512(int64_t steps) noexcept;
float peak_int8_avx512vnni(int64_t steps) noexcept;

// kPeakTiles products of tiles a round, of 16 rows by 16 columns by 64 bytes each.
inline constexpr int64_t kPeakTiles = 6;
inline constexpr int64_t kTileProducts = int64_t{16} * 16 * 64;
float peak_int8_amx(int64_t steps) noexcept;

}  // namespace strop::engine
