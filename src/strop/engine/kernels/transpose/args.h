#pragma once

#include <cstdint>

namespace strop::engine {

// out[j, i] = in[i, j], elements moved as they are. An image [channels, height · width] becomes channels-last
// so, and [height · width, channels] channels-first. Calls for other rows or columns may run at the same
// time.
struct TransposeArgs {
  int64_t rows = 0, columns = 0;  // of in, any size from 0 up
  int64_t element = 4;            // bytes of one: 1 or 4
  const void* in = nullptr;       // aligned as its elements, as is out
  int64_t in_row = 0;             // elements from a row to the next
  void* out = nullptr;            // [columns, rows], apart from in
  int64_t out_row = 0;
};

// Checks nothing. Reads and writes nothing outside the elements named.
using TransposeFn = void (*)(const TransposeArgs& args) noexcept;

}  // namespace strop::engine
