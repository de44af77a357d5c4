#include "strop/engine/kernels/gemm/gemm.h"

#include "strop/engine/kernels/gemm/declarations.h"

namespace strop::engine {
namespace {

constexpr GemmKernel kKernels[] = {
#define STROP_GEMM_KERNEL(name, isa, gemv, mr, nr) {#name, Isa::isa, {gemv, mr, nr}, name},
#include "strop/engine/kernels/gemm/kernels.inc"
#undef STROP_GEMM_KERNEL
};

// A lone row is bound by the reading of b, for which the GEMV has twice as many panels under way.
constexpr int64_t kGemvRows = 1;

}  // namespace

std::span<const GemmKernel> GemmKernels() noexcept { return kKernels; }

bool Runs(const GemmKernel& kernel, const CpuFlags& flags) noexcept {
  return kernel.isa <= HighestIsa(flags);
}

const GemmKernel* FindGemmKernel(std::string_view name) noexcept {
  for (const GemmKernel& kernel : kKernels) {
    if (kernel.name == name) return &kernel;
  }
  return nullptr;
}

std::vector<const GemmKernel*> GemmCandidates(const CpuFlags& flags) {
  std::vector<const GemmKernel*> found;
  for (const GemmKernel& kernel : kKernels) {
    if (Runs(kernel, flags)) found.push_back(&kernel);
  }
  return found;
}

const GemmKernel& PickGemm(const GemmShape& shape, const CpuFlags& flags) noexcept {
  const bool gemv = shape.m <= kGemvRows;
  const GemmKernel* best = &kKernels[0];
  for (const GemmKernel& kernel : kKernels) {
    if (Runs(kernel, flags) && kernel.tile.gemv == gemv) best = &kernel;
  }
  return *best;
}

GemmArgs GemmBlock(const GemmArgs& whole, const GemmKernel& kernel, const GemmGrid& grid,
                   int64_t index) noexcept {
  const GemmPart part = PartOfGrid({whole.m, whole.n, whole.k}, kernel.tile, grid, index);
  GemmArgs block = whole;
  block.m = part.m1 - part.m0;
  block.n = part.n1 - part.n0;
  block.a += part.m0 * whole.lda;
  block.b += part.n0 * whole.k;
  if (block.bias != nullptr) block.bias += part.n0;
  block.c += part.m0 * whole.ldc + part.n0;
  return block;
}

}  // namespace strop::engine
