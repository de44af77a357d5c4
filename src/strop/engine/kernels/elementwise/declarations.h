#pragma once

#include "strop/engine/kernels/elementwise/args.h"

namespace strop::engine {

// Constants, as a function that answered them would be of the instruction set that it is to be chosen by.
#define STROP_ELEMENTWISE_KERNELS(name, isa) extern const ElementwiseFunctions name;
#include "strop/engine/kernels/elementwise/kernels.inc"
#undef STROP_ELEMENTWISE_KERNELS

}  // namespace strop::engine
