#pragma once

#include <cstdint>

#include "strop/base/api.h"

namespace strop::engine {

// The second operand of a product of bytes where it is known only while running, [k, n]. uint8 is packed as
// int8, 128 less.
struct Int8Operand {
  const uint8_t* data = nullptr;  // any alignment
  int64_t stride = 0;             // bytes from one row to the next
  bool is_signed = false;
  int64_t n = 0, k = 0;
};

// Into `panels` as PackedInt8Weights has them for a kernel of panels nr wide that does not saturate; room for
// n rounded up to nr by k rounded up to 4. What lies beyond n columns is left as it is. No allocation.
//
// From n rows of k, a multiple of 4.
STROP_API void PackInt8Columns(const Int8Operand& b, int64_t nr, int8_t* panels) noexcept;
// From k rows of n; with `ones` a column of ones follows, so that the panels have n + 1.
STROP_API void PackInt8Rows(const Int8Operand& b, bool ones, int64_t nr, int8_t* panels) noexcept;
// Of n columns; room for n rounded up to nr.
STROP_API void SumInt8Columns(const int8_t* panels, int64_t n, int64_t k, int64_t nr, int32_t* sums) noexcept;

}  // namespace strop::engine
