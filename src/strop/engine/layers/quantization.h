#pragma once

#include <cstdint>

#include "strop/base/api.h"
#include "strop/base/tensor.h"

namespace strop::engine {

// How integers stand for numbers: (q - zero) · scale, q of uint8 or int8.
struct STROP_API Quantization {
  DType dtype = DType::kU8;
  float scale = 1;
  int32_t zero = 0;
};

}  // namespace strop::engine
