#include "strop/engine/kernels/patches/patches.h"

#include "strop/engine/kernels/patches/declarations.h"

namespace strop::engine {
namespace {

constexpr PatchesKernel kKernels[] = {
#define STROP_PATCHES_KERNEL(name, isa) {#name, Isa::isa, name},
#include "strop/engine/kernels/patches/kernels.inc"
#undef STROP_PATCHES_KERNEL
};

}  // namespace

std::span<const PatchesKernel> PatchesKernels() noexcept { return kKernels; }

const PatchesKernel& PickPatches(const CpuFlags& flags) noexcept {
  const PatchesKernel* best = &kKernels[0];
  for (const PatchesKernel& kernel : kKernels)
    if (kernel.isa <= HighestIsa(flags)) best = &kernel;
  return *best;
}

}  // namespace strop::engine
