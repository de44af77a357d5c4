#pragma once

#include <cstdint>

#include "strop/engine/kernels/clamp.h"

namespace strop::engine {

// Rows of b, neighbours, that a vector of rests (PackedInt8Weights) picks from.
inline constexpr int64_t kInt8RestSpan = 16;

enum class Int8Output { kS32, kF32, kU8, kS8 };

// sum = a · b + correction, exact in 32 bits (wrapping beyond them); then by `output`
//   kS32      sum
//   kF32      y = clamp(float(sum) * scale + offset)
//   kU8, kS8  round(y) + zero, to the nearest even, saturated
// The float steps are each rounded once, so that every instruction set answers the same bits.
struct Int8GemmArgs {
  int64_t m = 0, n = 0, k = 0;  // any size from 0 up
  const uint8_t* a = nullptr;   // m rows of k, row stride lda, any alignment
  int64_t lda = 0;
  // A convolution reads its rows where they lie in a padded image. Each `run` rows are pixels of one row of
  // it, lda apart, and the next run begins run_stride bytes behind; m is a multiple of it. 0: all rows are
  // one run.
  int64_t run = 0, run_stride = 0;
  // The k elements of a row are k / tap_depth parts, of which part t lies tap_offset[t] bytes behind the
  // row's begin. A part is a multiple of Int8GemmKernel::depth. 0: one part.
  int64_t tap_depth = 0;
  const int64_t* tap_offset = nullptr;
  bool is_signed = false;     // a holds int8, else uint8
  const int8_t* b = nullptr;  // PackInt8Weights for the kernel, or of operand.h; 64-byte aligned
  // The rests of PackedInt8Weights, of the columns from b's first on.
  const int8_t* rests = nullptr;  // 64-byte aligned
  const int32_t* rest_row = nullptr;
  const int64_t* rest_begin = nullptr;  // nullptr: there are none
  const int32_t* sums = nullptr;        // n, of the columns of b; only where a is signed
  const int32_t* correction = nullptr;  // n; nullptr: 0
  const float* scale = nullptr;         // n; not for kS32
  const float* offset = nullptr;        // n; not for kS32
  Clamp clamp{};                        // not for kS32
  int32_t zero = 0;                     // of kU8 and kS8
  Int8Output output = Int8Output::kS32;
  void* c = nullptr;  // m rows of n elements, row stride ldc elements, any alignment; apart from a
  int64_t ldc = 0;
};

// Checks nothing: the plan above has. Reads nothing before the first element of a or behind the last, and
// writes nothing outside the rows and columns named.
using Int8GemmFn = void (*)(const Int8GemmArgs& args) noexcept;

}  // namespace strop::engine
