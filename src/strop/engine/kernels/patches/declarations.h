#pragma once

#include "strop/engine/kernels/patches/args.h"

namespace strop::engine {

#define STROP_PATCHES_KERNEL(name, isa) void name(const PatchesArgs& args) noexcept;
#include "strop/engine/kernels/patches/kernels.inc"
#undef STROP_PATCHES_KERNEL

}  // namespace strop::engine
