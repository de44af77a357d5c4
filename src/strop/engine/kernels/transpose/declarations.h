#pragma once

#include "strop/engine/kernels/transpose/args.h"

namespace strop::engine {

#define STROP_TRANSPOSE_KERNEL(name, isa) void name(const TransposeArgs& args) noexcept;
#include "strop/engine/kernels/transpose/kernels.inc"
#undef STROP_TRANSPOSE_KERNEL

}  // namespace strop::engine
