#pragma once

#include <cstdint>

#include "strop/base/api.h"
#include "strop/base/tensor.h"

namespace strop::compress {

// Symmetric int8 weights with one scale a channel along `axis`: real = scale[channel] * stored.
struct STROP_API Weights {
  Tensor values;  // int8, shape of the weight
  Tensor scales;  // float32, [channels]
  int64_t axis = 0;
};

// float32 weights times `factor`, within -limit … limit. The scale of each channel is that of 16 between 0.7
// and 1 times the one that holds its largest weight which gives the least squared error.
STROP_API Weights QuantizeWeights(const Tensor& weight, int64_t axis, int limit, float factor = 1);

// int32 biases of scale activation_scale * weights.scales. A channel whose bias would leave 31 bits gets
// larger weight scales (only channels of nearly no weight do), which changes `weights`; `weight` and `factor`
// as above.
STROP_API Tensor QuantizeBias(const Tensor& bias, float activation_scale, const Tensor& weight, int limit,
                              float factor, Weights* weights);

}  // namespace strop::compress
