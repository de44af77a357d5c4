#pragma once

#include <cstdint>

#include "strop/engine/kernels/roofline/kernels.h"

namespace strop::engine {

// The loop over a vector type V (Reg, Set1, Fma, Sum, Opaque) of an ISA file's unnamed namespace.
template <class V>
inline float Peak(int64_t steps) noexcept {
  typename V::Reg sums[kPeakSums];
  typename V::Reg a = V::Set1(0.5f), b = V::Set1(0.25f);
#pragma GCC unroll 16
  for (int64_t i = 0; i < kPeakSums; ++i) sums[i] = V::Set1(static_cast<float>(i));
  for (int64_t step = 0; step < steps; ++step) {
    // Opaque to the compiler, which otherwise would solve the recurrence.
    V::Opaque(a);
    V::Opaque(b);
#pragma GCC unroll 16
    for (int64_t i = 0; i < kPeakSums; ++i) sums[i] = V::Fma(sums[i], a, b);
  }
  float total = 0;
  for (int64_t i = 0; i < kPeakSums; ++i) total += V::Sum(sums[i]);
  return total;
}

// The same of bytes, over a V (Reg, Set1, Dot, Sum, Opaque).
template <class V>
inline float PeakInt8(int64_t steps) noexcept {
  typename V::Reg sums[kPeakSums];
  typename V::Reg a = V::Set1(kPeakA), b = V::Set1(kPeakB);
#pragma GCC unroll 16
  for (int64_t i = 0; i < kPeakSums; ++i) sums[i] = V::Set1(0);
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 16
    for (int64_t i = 0; i < kPeakSums; ++i) {
      // Each time anew: where a product is of several instructions, all but the last would be shared.
      V::Opaque(a);
      sums[i] = V::Dot(sums[i], a, b);
    }
  }
  float total = 0;
  for (int64_t i = 0; i < kPeakSums; ++i) total += V::Sum(sums[i]);
  return total;
}

}  // namespace strop::engine
