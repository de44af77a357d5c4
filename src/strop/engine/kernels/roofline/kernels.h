#pragma once

#include <cstdint>

namespace strop::engine {

// `steps` rounds of kPeakSums independent multiply-adds of whole vectors. Answers a value that depends on all
// of them. Operations done: steps * kPeakSums * lanes * 2.
inline constexpr int kPeakSums = 12;
using PeakFn = float (*)(int64_t steps) noexcept;

float peak_f32_scalar(int64_t steps) noexcept;
float peak_f32_avx2(int64_t steps) noexcept;
float peak_f32_avx512(int64_t steps) noexcept;

}  // namespace strop::engine
