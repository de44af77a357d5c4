#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "strop/base/api.h"
#include "strop/base/tensor.h"

namespace strop::engine {

// How integers stand for numbers: (q - zero) · scale, q of uint8 or int8.
struct STROP_API Quantization {
  DType dtype = DType::kU8;
  float scale = 1;
  int32_t zero = 0;

  bool operator==(const Quantization&) const = default;
};

// What a layer of integers has besides: its input and weights come from DequantizeLinear, and its answer may
// go to QuantizeLinear.
struct STROP_API LayerIntegers {
  Quantization input;
  std::string
      weight_scale;  // initializer, of one element or one an output; weights are int8, or uint8 around 128
  std::string bias_scale;              // initializer, likewise, of an int32 bias; empty: the bias is float32
  std::optional<Quantization> output;  // nothing: the answer is float32
};

}  // namespace strop::engine
