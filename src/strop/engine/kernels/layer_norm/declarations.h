#pragma once

#include "strop/engine/kernels/layer_norm/args.h"

namespace strop::engine {

#define STROP_LAYER_NORM_KERNEL(name, isa) void name(const LayerNormArgs& args) noexcept;
#include "strop/engine/kernels/layer_norm/kernels.inc"
#undef STROP_LAYER_NORM_KERNEL

}  // namespace strop::engine
