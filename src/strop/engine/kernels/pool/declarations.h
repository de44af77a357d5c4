#pragma once

#include "strop/engine/kernels/pool/args.h"

namespace strop::engine {

#define STROP_POOL_KERNEL(name, isa)                              \
  void max_pool_##name(const MaxPoolArgs& args) noexcept;         \
  void average_pool_##name(const AveragePoolArgs& args) noexcept; \
  void global_pool_##name(const GlobalPoolArgs& args) noexcept;
#include "strop/engine/kernels/pool/kernels.inc"
#undef STROP_POOL_KERNEL

}  // namespace strop::engine
