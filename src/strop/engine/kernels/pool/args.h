#pragma once

#include <cstdint>

#include "strop/engine/kernels/int8_gemm/args.h"
#include "strop/engine/kernels/window.h"

// Pooling of one channels-last image, a channel by itself: calls may do different rows, or different
// channels, at the same time. in and out are aligned as their elements and apart.
namespace strop::engine {

enum class PoolElement { kF32, kU8, kS8 };

// Rows [row0, row1) of the greatest of the taps inside of the image (ONNX MaxPool). NaN is never the
// greatest; where nothing is inside or all is NaN, it is -infinity, or the least byte.
struct MaxPoolArgs {
  Window window;
  int64_t channels = 0;  // from 1 up
  PoolElement element = PoolElement::kF32;
  const void* in = nullptr;  // [height, width] pixels of channels
  int64_t in_pixel = 0;      // elements from a pixel to the next, channels or more
  void* out = nullptr;       // [out_h, out_w] pixels of channels
  int64_t out_pixel = 0;
  int64_t row0 = 0, row1 = 0;
};

// Rows [row0, row1) of the mean of the taps inside (ONNX AveragePool), or, with count_padding, of the sum of
// these divided by the number of taps inside or in the padding; 0 where there are none.
struct AveragePoolArgs {
  Window window;
  int64_t pad_bottom = 0, pad_right = 0;  // beyond them nothing counts (ceil_mode)
  bool count_padding = false;
  int64_t channels = 0;
  const float* in = nullptr;
  int64_t in_pixel = 0;
  float* out = nullptr;
  int64_t out_pixel = 0;
  int64_t row0 = 0, row1 = 0;
};

// The mean of each channel over all pixels (ONNX GlobalAveragePool). Of floats it is their sum, pixel after
// pixel, divided by their number. Of bytes the sum is exact in 32 bits, up to 2^23 pixels; then by `output`
//   kS32      sum + correction
//   kF32      y = float(sum + correction) · scale + offset
//   kU8, kS8  round(y) + zero, to the nearest even, saturated
// each float step rounded once, so that every instruction set answers the same bits.
struct GlobalPoolArgs {
  int64_t pixels = 0;  // from 1 up
  int64_t channels = 0;
  PoolElement element = PoolElement::kF32;
  const void* in = nullptr;
  int64_t in_pixel = 0;
  // Only of bytes.
  int32_t correction = 0;
  float scale = 1, offset = 0;
  int32_t zero = 0;
  Int8Output output = Int8Output::kF32;
  void* out = nullptr;  // channels; floats of floats
};

// They check nothing, and read and write nothing outside the pixels and channels named.
using MaxPoolFn = void (*)(const MaxPoolArgs& args) noexcept;
using AveragePoolFn = void (*)(const AveragePoolArgs& args) noexcept;
using GlobalPoolFn = void (*)(const GlobalPoolArgs& args) noexcept;

}  // namespace strop::engine
