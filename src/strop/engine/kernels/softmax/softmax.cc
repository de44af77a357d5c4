#include "strop/engine/kernels/softmax/softmax.h"

#include "strop/engine/kernels/softmax/declarations.h"

namespace strop::engine {
namespace {

constexpr SoftmaxKernel kKernels[] = {
#define STROP_SOFTMAX_KERNEL(name, isa) {#name, Isa::isa, name},
#include "strop/engine/kernels/softmax/kernels.inc"
#undef STROP_SOFTMAX_KERNEL
};

}  // namespace

std::span<const SoftmaxKernel> SoftmaxKernels() noexcept { return kKernels; }

const SoftmaxKernel& PickSoftmax(const CpuFlags& flags) noexcept {
  const SoftmaxKernel* best = &kKernels[0];
  for (const SoftmaxKernel& kernel : kKernels) {
    if (kernel.isa <= HighestIsa(flags)) best = &kernel;
  }
  return *best;
}

}  // namespace strop::engine
