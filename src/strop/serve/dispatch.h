#pragma once

#include <cstdint>

#include "strop/base/tensor.h"

namespace strop::serve {

// Calls `call` with a value of the C++ type of `dtype`; float16 has none.
template <class Call>
void Dispatch(DType dtype, Call call) {
  switch (dtype) {
    case DType::kF32:
      return call(float{});
    case DType::kF64:
      return call(double{});
    case DType::kU8:
      return call(uint8_t{});
    case DType::kI8:
      return call(int8_t{});
    case DType::kU16:
      return call(uint16_t{});
    case DType::kI16:
      return call(int16_t{});
    case DType::kU32:
      return call(uint32_t{});
    case DType::kI32:
      return call(int32_t{});
    case DType::kU64:
      return call(uint64_t{});
    case DType::kI64:
      return call(int64_t{});
    case DType::kBool:
      return call(bool{});
    case DType::kF16:
      break;
  }
}

}  // namespace strop::serve
