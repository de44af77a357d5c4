#include <cstdint>

#include "strop/feed/nan/declarations.h"

namespace strop::feed {
namespace {

// Bytewise, as rows may lie unaligned.
template <class Bits, class T>
Bits Load(const T* value) noexcept {
  Bits bits;
  __builtin_memcpy(&bits, value, sizeof bits);
  return bits;
}

}  // namespace

bool has_nan_f16_scalar(const uint16_t* values, int64_t count) noexcept {
  bool any = false;
  for (int64_t i = 0; i < count; ++i) any |= (Load<uint16_t>(values + i) & 0x7fffU) > 0x7c00U;
  return any;
}

bool has_nan_f32_scalar(const float* values, int64_t count) noexcept {
  bool any = false;
  for (int64_t i = 0; i < count; ++i) any |= (Load<uint32_t>(values + i) & 0x7fffffffU) > 0x7f800000U;
  return any;
}

bool has_nan_f64_scalar(const double* values, int64_t count) noexcept {
  bool any = false;
  for (int64_t i = 0; i < count; ++i)
    any |= (Load<uint64_t>(values + i) & 0x7fffffffffffffffULL) > 0x7ff0000000000000ULL;
  return any;
}

}  // namespace strop::feed
