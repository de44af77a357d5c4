#include "strop/engine/kernels/pool/pool.h"

#include "strop/engine/kernels/pool/declarations.h"

namespace strop::engine {
namespace {

constexpr PoolKernel kKernels[] = {
#define STROP_POOL_KERNEL(name, isa) \
  {"pool_" #name, Isa::isa, max_pool_##name, average_pool_##name, global_pool_##name},
#include "strop/engine/kernels/pool/kernels.inc"
#undef STROP_POOL_KERNEL
};

}  // namespace

std::span<const PoolKernel> PoolKernels() noexcept { return kKernels; }

const PoolKernel& PickPool(const CpuFlags& flags) noexcept {
  const PoolKernel* best = &kKernels[0];
  for (const PoolKernel& kernel : kKernels)
    if (kernel.isa <= HighestIsa(flags)) best = &kernel;
  return *best;
}

}  // namespace strop::engine
