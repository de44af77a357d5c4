#include "strop/engine/kernels/elementwise/elementwise.h"

#include "strop/engine/kernels/elementwise/declarations.h"

namespace strop::engine {

std::span<const ElementwiseKernels> AllElementwiseKernels() noexcept {
  static const ElementwiseKernels kKernels[] = {
#define STROP_ELEMENTWISE_KERNELS(name, isa) {name, #name, Isa::isa},
#include "strop/engine/kernels/elementwise/kernels.inc"
#undef STROP_ELEMENTWISE_KERNELS
  };
  return kKernels;
}

const ElementwiseKernels& PickElementwise(const CpuFlags& flags) noexcept {
  const std::span<const ElementwiseKernels> all = AllElementwiseKernels();
  const ElementwiseKernels* best = &all.front();
  for (const ElementwiseKernels& kernels : all) {
    if (kernels.isa <= HighestIsa(flags)) best = &kernels;
  }
  return *best;
}

}  // namespace strop::engine
