#pragma once

#include <cstdint>

#include "strop/engine/kernels/window.h"

namespace strop::engine {

// The taps of output pixels [p0, p1) of one image, row-major over [out_h, out_w]: a row of kernel_h ·
// kernel_w · channels elements each, tap by tap and within a tap channel by channel, so that a convolution is
// their product with weights of [kernel_h, kernel_w, channels, outputs]. Elements are moved as they are.
// Padding is `pad`. Calls with other pixels may run at the same time.
struct PatchesArgs {
  Window window;
  int64_t channels = 0;  // from 1 up
  int64_t element = 4;   // bytes of one: 1 or 4
  // Channels last: [height, width] pixels of channels, in_pixel elements from one to the next. Channels
  // first: [channels, height, width].
  bool channels_first = false;
  const void* in = nullptr;  // aligned as its elements, as is out
  int64_t in_pixel = 0;      // channels or more; only of channels last
  uint32_t pad = 0;          // the element: the zero point in the lowest byte, or the bits of a float
  int64_t p0 = 0, p1 = 0;
  void* out = nullptr;  // p1 - p0 rows, out_row elements from one to the next; apart from in
  int64_t out_row = 0;
};

// Checks nothing. Reads and writes nothing outside the elements named.
using PatchesFn = void (*)(const PatchesArgs& args) noexcept;

}  // namespace strop::engine
