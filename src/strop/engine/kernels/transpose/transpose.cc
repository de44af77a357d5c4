#include "strop/engine/kernels/transpose/transpose.h"

#include "strop/engine/kernels/transpose/declarations.h"

namespace strop::engine {
namespace {

constexpr TransposeKernel kKernels[] = {
#define STROP_TRANSPOSE_KERNEL(name, isa) {#name, Isa::isa, name},
#include "strop/engine/kernels/transpose/kernels.inc"
#undef STROP_TRANSPOSE_KERNEL
};

}  // namespace

std::span<const TransposeKernel> TransposeKernels() noexcept { return kKernels; }

const TransposeKernel& PickTranspose(const CpuFlags& flags) noexcept {
  const TransposeKernel* best = &kKernels[0];
  for (const TransposeKernel& kernel : kKernels)
    if (kernel.isa <= HighestIsa(flags)) best = &kernel;
  return *best;
}

}  // namespace strop::engine
