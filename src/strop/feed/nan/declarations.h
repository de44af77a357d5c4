#pragma once

#include <cstdint>

namespace strop::feed {

// Whether any of `count` values, aligned or not, is a NaN. float16 as its bits (IEEE 754 binary16).
#define STROP_NAN_KERNEL(isa, suffix)                                        \
  bool has_nan_f16_##suffix(const uint16_t* values, int64_t count) noexcept; \
  bool has_nan_f32_##suffix(const float* values, int64_t count) noexcept;    \
  bool has_nan_f64_##suffix(const double* values, int64_t count) noexcept;
#include "strop/feed/nan/kernels.inc"
#undef STROP_NAN_KERNEL

}  // namespace strop::feed
