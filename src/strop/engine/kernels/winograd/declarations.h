#pragma once

#include "strop/engine/kernels/winograd/args.h"

namespace strop::engine {

#define STROP_WINOGRAD_KERNEL(name, isa, tile) WinogradTransforms name() noexcept;
#include "strop/engine/kernels/winograd/kernels.inc"
#undef STROP_WINOGRAD_KERNEL

}  // namespace strop::engine
