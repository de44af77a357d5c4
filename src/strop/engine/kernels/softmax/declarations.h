#pragma once

#include "strop/engine/kernels/softmax/args.h"

namespace strop::engine {

#define STROP_SOFTMAX_KERNEL(name, isa) void name(const SoftmaxArgs& args) noexcept;
#include "strop/engine/kernels/softmax/kernels.inc"
#undef STROP_SOFTMAX_KERNEL

}  // namespace strop::engine
