#pragma once

#include <cstdint>

#include "strop/engine/kernels/int8_gemm/args.h"
#include "strop/engine/kernels/window.h"

namespace strop::engine {

// Rows [row0, row1) of the depthwise convolution of one channels-last image:
//   out[oy, ox, c] = clamp(bias[c] + sum over the taps inside of in[tap, c] · weight[tap, c], low, high)
// in float32; weights are finite, so that a tap in the padding adds nothing, and NaN stays NaN. Two calls may
// write different rows, or different channels, at the same time.
struct DepthwiseArgs {
  Window window;
  int64_t channels = 0;            // from 1 up
  const float* in = nullptr;       // [height, width] pixels of channels, any alignment
  int64_t in_pixel = 0;            // elements from a pixel to the next, channels or more
  const float* weights = nullptr;  // PackDepthwise, 64-byte aligned
  const float* bias = nullptr;     // channels, any alignment; nullptr: 0
  float low = -__builtin_inff(), high = __builtin_inff();
  float* out = nullptr;  // [out_h, out_w] pixels of channels, any alignment; apart from in
  int64_t out_pixel = 0;
  int64_t row0 = 0, row1 = 0;  // of the output
};

// The same of bytes: sum = sum over the taps inside of (in[tap, c] - in_zero) · weight[tap, c] +
// correction[c], exact in 32 bits (wrapping beyond them); then by `output`
//   kS32      sum
//   kF32      y = clamp(float(sum) · scale[c] + offset[c], low, high)
//   kU8, kS8  round(y) + zero, to the nearest even, saturated
// The float steps are each rounded once, so that every instruction set answers the same bits.
struct Int8DepthwiseArgs {
  Window window;
  int64_t channels = 0;
  const uint8_t* in = nullptr;
  int64_t in_pixel = 0;
  bool is_signed = false;               // in holds int8, else uint8
  int32_t in_zero = 0;                  // within the input's type
  const int8_t* weights = nullptr;      // PackInt8Depthwise for the kernel, 64-byte aligned
  const int32_t* sums = nullptr;        // channels, of the weights of each
  const int32_t* correction = nullptr;  // channels; nullptr: 0
  const float* scale = nullptr;         // channels; not for kS32
  const float* offset = nullptr;        // channels; not for kS32
  float low = -__builtin_inff(), high = __builtin_inff();  // of y; not for kS32
  int32_t zero = 0;                                        // of kU8 and kS8, within the type
  Int8Output output = Int8Output::kS32;
  void* out = nullptr;
  int64_t out_pixel = 0;  // elements
  int64_t row0 = 0, row1 = 0;
};

// They check nothing: the plan above has. They read and write nothing outside the pixels and channels named.
using DepthwiseFn = void (*)(const DepthwiseArgs& args) noexcept;
using Int8DepthwiseFn = void (*)(const Int8DepthwiseArgs& args) noexcept;

}  // namespace strop::engine
