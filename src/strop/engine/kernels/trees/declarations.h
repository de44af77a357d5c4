#pragma once

#include "strop/engine/kernels/trees/args.h"

namespace strop::engine {

#define STROP_TREE_KERNEL(name, isa) void name(const TreeArgs& args) noexcept;
#include "strop/engine/kernels/trees/kernels.inc"
#undef STROP_TREE_KERNEL

}  // namespace strop::engine
