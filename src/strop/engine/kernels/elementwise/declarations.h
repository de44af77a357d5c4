#pragma once

#include "strop/engine/kernels/elementwise/args.h"

namespace strop::engine {

#define STROP_ELEMENTWISE_KERNELS(name, isa) ElementwiseFunctions name() noexcept;
#include "strop/engine/kernels/elementwise/kernels.inc"
#undef STROP_ELEMENTWISE_KERNELS

}  // namespace strop::engine
