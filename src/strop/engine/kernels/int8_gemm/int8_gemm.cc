#include "strop/engine/kernels/int8_gemm/int8_gemm.h"

#include "strop/engine/kernels/int8_gemm/declarations.h"

namespace strop::engine {
namespace {

constexpr Int8GemmKernel kKernels[] = {
#define STROP_INT8_GEMM_KERNEL(name, isa, gemv, rest_lanes, mr, nr) \
  {#name, Isa::isa, rest_lanes, {gemv, mr, nr}, Isa::isa == Isa::kAmx ? 64 : 4, name},
#include "strop/engine/kernels/int8_gemm/kernels.inc"
#undef STROP_INT8_GEMM_KERNEL
};

constexpr int64_t kLeastAmxDepth = 16;

int64_t ElementBytes(Int8Output output) {
  return output == Int8Output::kU8 || output == Int8Output::kS8 ? 1 : 4;
}

}  // namespace

std::span<const Int8GemmKernel> Int8GemmKernels() noexcept { return kKernels; }

const Int8GemmKernel* FindInt8GemmKernel(std::string_view name) noexcept {
  for (const Int8GemmKernel& kernel : kKernels)
    if (kernel.name == name) return &kernel;
  return nullptr;
}

const Int8GemmKernel& PickInt8Gemm(const GemmShape& shape, const CpuFlags& flags) noexcept {
  // A step of AMX takes 64 of k, and a tile 16 rows: 12544 x 96 x 16 is 13 % slower than without.
  const bool tiles = shape.k > kLeastAmxDepth;
  const Int8GemmKernel* best = &kKernels[0];
  for (const Int8GemmKernel& kernel : kKernels)
    if (kernel.isa <= HighestIsa(flags) && kernel.tile.gemv == (shape.m == 1) &&
        (kernel.isa < Isa::kAmx || tiles))
      best = &kernel;
  return *best;
}

Int8GemmArgs Int8GemmBlock(const Int8GemmArgs& whole, const Int8GemmKernel& kernel, const GemmGrid& grid,
                           int64_t index) noexcept {
  const GemmPart part = PartOfGrid({whole.m, whole.n, whole.k}, kernel.tile, grid, index);
  Int8GemmArgs block = whole;
  block.m = part.m1 - part.m0;
  block.n = part.n1 - part.n0;
  block.a += part.m0 * whole.lda;
  block.b += part.n0 * ((whole.k + 3) / 4 * 4);
  if (block.rest_begin != nullptr) block.rest_begin += part.n0 / kernel.rest_lanes;
  if (block.sums != nullptr) block.sums += part.n0;
  if (block.correction != nullptr) block.correction += part.n0;
  if (block.scale != nullptr) block.scale += part.n0;
  if (block.offset != nullptr) block.offset += part.n0;
  block.c = static_cast<char*>(whole.c) + (part.m0 * whole.ldc + part.n0) * ElementBytes(whole.output);
  return block;
}

}  // namespace strop::engine
