#pragma once

#include <cstdint>

namespace strop::engine {

// y = (t - mean(t)) / sqrt(variance(t) + epsilon) · gamma + beta of each row of t = x + residual, or of the
// root mean square alone, y = t / sqrt(mean(t²) + epsilon) · gamma + beta. All float32.
struct LayerNormArgs {
  int64_t rows = 0, n = 0;   // any size from 0 up
  const float* x = nullptr;  // rows of n, row stride ldx, any alignment
  int64_t ldx = 0;
  const float* residual = nullptr;  // rows of n, row stride ld_residual, any alignment; nullptr: none
  int64_t ld_residual = 0;
  const float* gamma = nullptr;  // n, any alignment
  const float* beta = nullptr;   // n, any alignment; nullptr: none
  float epsilon = 1e-5f;
  bool root_mean_square = false;
  // Rows of n, row stride ldy, any alignment; x or residual itself, of the same stride, or apart from both.
  float* y = nullptr;
  int64_t ldy = 0;
};

// Checks nothing: the plan above has. Reads and writes nothing outside the rows and columns named.
using LayerNormFn = void (*)(const LayerNormArgs& args) noexcept;

}  // namespace strop::engine
