#pragma once

#include "strop/engine/kernels/depthwise/args.h"

namespace strop::engine {

#define STROP_DEPTHWISE_KERNEL(name, isa) void name(const DepthwiseArgs& args) noexcept;
#define STROP_INT8_DEPTHWISE_KERNEL(name, isa, group, block, least) \
  void name(const Int8DepthwiseArgs& args) noexcept;
#include "strop/engine/kernels/depthwise/kernels.inc"
#undef STROP_DEPTHWISE_KERNEL
#undef STROP_INT8_DEPTHWISE_KERNEL

}  // namespace strop::engine
