#pragma once

#include "strop/engine/kernels/gemm/args.h"

namespace strop::engine {

#define STROP_GEMM_KERNEL(name, isa, gemv, mr, nr) void name(const GemmArgs& args) noexcept;
#include "strop/engine/kernels/gemm/kernels.inc"
#undef STROP_GEMM_KERNEL

}  // namespace strop::engine
