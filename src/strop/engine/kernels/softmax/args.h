#pragma once

#include <cstdint>

namespace strop::engine {

// y = softmax(x · scale + mask) of each row, all float32.
struct SoftmaxArgs {
  int64_t rows = 0, n = 0;   // any size from 0 up
  const float* x = nullptr;  // rows of n, row stride ldx, any alignment
  int64_t ldx = 0;
  float scale = 1;
  const float* mask = nullptr;  // n, added to every row; -inf: an element of no weight; nullptr: none
  float* y = nullptr;  // rows of n, row stride ldy, any alignment; x itself (ldy = ldx), or apart from it
  int64_t ldy = 0;
  // Where set, the shares become uint8 or int8, rows of n, row stride ldb, and y is left with something else:
  // round(share / bytes_scale) + bytes_zero, saturated, where the quotient has the error of a share (those
  // right between two bytes may become either); NaN becomes 0. bytes_scale is from 1e-30 to 1e30.
  uint8_t* bytes = nullptr;
  int64_t ldb = 0;
  bool bytes_signed = false;
  float bytes_scale = 1;
  int32_t bytes_zero = 0;
};

// Checks nothing: the plan above has. Reads and writes nothing outside the rows and columns named.
using SoftmaxFn = void (*)(const SoftmaxArgs& args) noexcept;

}  // namespace strop::engine
