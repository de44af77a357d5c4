#pragma once

#include <cstdint>

#include "strop/engine/kernels/clamp.h"

namespace strop::engine {

// c = clamp(a · b + bias), all float32, accumulated in float32 along k.
struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;  // any size from 0 up
  const float* a = nullptr;     // m rows of k, row stride lda, any alignment
  int64_t lda = 0;
  const float* b = nullptr;     // PackWeights for the kernel's nr; 64-byte aligned
  const float* bias = nullptr;  // n, any alignment; nullptr: none
  float* c = nullptr;           // m rows of n, row stride ldc, any alignment; apart from a
  int64_t ldc = 0;
  Clamp clamp{};
};

// Checks nothing: the plan above has. Reads and writes nothing outside the rows and columns named.
using GemmFn = void (*)(const GemmArgs& args) noexcept;

}  // namespace strop::engine
