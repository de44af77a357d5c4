#include "strop/engine/kernels/gemm/gemm.h"

#include <algorithm>
#include <array>

#include "strop/engine/kernels/gemm/declarations.h"

namespace strop::engine {
namespace {

constexpr GemmKernel kKernels[] = {
#define STROP_GEMM_KERNEL(name, isa, gemv, mr, nr) {#name, Isa::isa, gemv, mr, nr, name},
#include "strop/engine/kernels/gemm/kernels.inc"
#undef STROP_GEMM_KERNEL
};

// Below so many multiply-adds (some 10 µs of one core) waking a thread costs more than it saves.
constexpr int64_t kWorthAThread = 1 << 19;
// gemm_bench, 1024 x 1024 on Zen 4: at one row the GEMV leads by 8 to 11 %, at two the GEMM by 34 to 81 %.
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
    if (Runs(kernel, flags) && kernel.gemv == gemv) best = &kernel;
  }
  return *best;
}

GemmGrid SplitGemm(const GemmShape& shape, const GemmKernel& kernel, int threads) noexcept {
  GemmGrid grid;
  const int64_t work = shape.m * shape.n * shape.k;
  const int64_t parts = std::min<int64_t>(threads, work / kWorthAThread);
  if (parts <= 1) return grid;
  const int64_t row_tiles = (shape.m + kernel.mr - 1) / kernel.mr;
  const int64_t column_tiles = (shape.n + kernel.nr - 1) / kernel.nr;
  // Cut rows first, which leaves the weights shared in L3; few rows are cut by columns, so that no thread
  // idles.
  if (!kernel.gemv) grid.rows = std::min(parts, row_tiles);
  if (grid.rows * 2 <= parts) grid.columns = std::min(parts / grid.rows, column_tiles);
  return grid;
}

GemmArgs GemmBlock(const GemmArgs& whole, const GemmKernel& kernel, const GemmGrid& grid,
                   int64_t index) noexcept {
  const auto share = [](int64_t size, int64_t tile, int64_t parts, int64_t part) {
    const int64_t tiles = (size + tile - 1) / tile;
    return std::array{std::min(size, tiles * part / parts * tile),
                      std::min(size, tiles * (part + 1) / parts * tile)};
  };
  const auto [m0, m1] = share(whole.m, kernel.mr, grid.rows, index / grid.columns);
  const auto [n0, n1] = share(whole.n, kernel.nr, grid.columns, index % grid.columns);
  GemmArgs block = whole;
  block.m = m1 - m0;
  block.n = n1 - n0;
  block.a += m0 * whole.lda;
  block.b += n0 * whole.k;
  if (block.bias != nullptr) block.bias += n0;
  block.c += m0 * whole.ldc + n0;
  return block;
}

}  // namespace strop::engine
