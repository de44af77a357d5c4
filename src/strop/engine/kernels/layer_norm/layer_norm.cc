#include "strop/engine/kernels/layer_norm/layer_norm.h"

#include "strop/engine/kernels/layer_norm/declarations.h"

namespace strop::engine {
namespace {

constexpr LayerNormKernel kKernels[] = {
#define STROP_LAYER_NORM_KERNEL(name, isa) {#name, Isa::isa, name},
#include "strop/engine/kernels/layer_norm/kernels.inc"
#undef STROP_LAYER_NORM_KERNEL
};

}  // namespace

std::span<const LayerNormKernel> LayerNormKernels() noexcept { return kKernels; }

const LayerNormKernel& PickLayerNorm(const CpuFlags& flags) noexcept {
  const LayerNormKernel* best = &kKernels[0];
  for (const LayerNormKernel& kernel : kKernels) {
    if (kernel.isa <= HighestIsa(flags)) best = &kernel;
  }
  return *best;
}

}  // namespace strop::engine
