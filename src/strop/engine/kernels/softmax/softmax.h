#pragma once

#include <span>
#include <string_view>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/engine/kernels/softmax/args.h"

namespace strop::engine {

// One registry line of kernels.inc. Thread safe, without state; the shapes and who owns them are as args.h
// says.
//
// The largest element is taken off first, so that nothing overflows. What float32 makes of t = x · scale +
// mask and of its difference from the largest t counts: an answer's relative error is below 6e-8 · (8 + 2 m +
// 2 m') with m = |x · scale| + |mask|, and m' that of the largest t. Below 1.2e-38 of the largest it is 0. A
// row with NaN or +inf, or of nothing but -inf, becomes NaN, as exp(t - max) / sum does in IEEE arithmetic.
struct STROP_API SoftmaxKernel {
  std::string_view name;  // softmax_f32_avx2
  Isa isa;
  SoftmaxFn run;
};

// Every kernel compiled in, lowest instruction set first. Lives as long as the process.
STROP_API std::span<const SoftmaxKernel> SoftmaxKernels() noexcept;
// The best kernel for a CPU with these flags. Pure.
STROP_API const SoftmaxKernel& PickSoftmax(const CpuFlags& flags) noexcept;

}  // namespace strop::engine
