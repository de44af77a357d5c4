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
  for (int i = 0; i < kPeakSums; ++i) sums[i] = V::Set1(static_cast<float>(i));
  for (int64_t step = 0; step < steps; ++step) {
    // Opaque to the compiler, which otherwise would solve the recurrence.
    V::Opaque(a);
    V::Opaque(b);
#pragma GCC unroll 16
    for (int i = 0; i < kPeakSums; ++i) sums[i] = V::Fma(sums[i], a, b);
  }
  float total = 0;
  for (int i = 0; i < kPeakSums; ++i) total += V::Sum(sums[i]);
  return total;
}

}  // namespace strop::engine
