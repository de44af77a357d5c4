#pragma once

#include "strop/engine/kernels/int8_gemm/args.h"

namespace strop::engine {

#define STROP_INT8_GEMM_KERNEL(name, isa, gemv, saturates, mr, nr) \
  void name(const Int8GemmArgs& args) noexcept;
#include "strop/engine/kernels/int8_gemm/kernels.inc"
#undef STROP_INT8_GEMM_KERNEL

}  // namespace strop::engine
