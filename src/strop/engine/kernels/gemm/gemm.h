#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/base/tensor.h"
#include "strop/engine/kernels/gemm/args.h"
#include "strop/engine/kernels/gemm/grid.h"

namespace strop::engine {

// One registry line of kernels.inc.
struct STROP_API GemmKernel {
  std::string_view name;  // gemm_f32_6x16_avx2: types, tile, instruction set
  Isa isa;
  GemmTiling tile;
  GemmFn run;
};

// Every kernel compiled in, lowest instruction set first. Lives as long as the process. A kernel sums each
// element of c along k in one order, whatever its place and the rows and columns around it: blocks of any
// grid answer the bits of the whole.
STROP_API std::span<const GemmKernel> GemmKernels() noexcept;
// Whether a CPU with these flags can run it.
STROP_API bool Runs(const GemmKernel& kernel, const CpuFlags& flags) noexcept;
// nullptr when there is none of that name.
STROP_API const GemmKernel* FindGemmKernel(std::string_view name) noexcept;

// All kernels that a CPU with these flags can run, lowest first, and the one to use when nothing was timed.
// Pure: they depend on nothing but their arguments.
STROP_API std::vector<const GemmKernel*> GemmCandidates(const CpuFlags& flags);
STROP_API const GemmKernel& PickGemm(const GemmShape& shape, const CpuFlags& flags) noexcept;

// What a kernel reads as b: ceil(n / nr) panels of nr columns, each k rows of nr floats, the last padded with
// zeros; from row-major b of [k, n], or [n, k] when transposed, rows ldb floats apart, of any alignment.
// `out` holds the panels and is 64-byte aligned. Allocates nothing, so products of two activations can pack
// one of them each time: 32 x 128 either way in about 1 µs.
STROP_API void PackPanels(const float* b, int64_t ldb, int64_t n, int64_t k, bool transposed, int64_t nr,
                          float* out) noexcept;

// Weights as a kernel reads them.
struct STROP_API PackedWeights {
  int64_t n = 0, k = 0, nr = 0;
  Tensor panels;  // float32 [panels, k, nr]
};
// PackPanels of a whole matrix, each element times `scale`.
STROP_API PackedWeights PackWeights(const float* b, int64_t n, int64_t k, bool transposed, float scale,
                                    int64_t nr);

// The arguments of block `index` of the grid; m or n may be 0 for the last ones.
STROP_API GemmArgs GemmBlock(const GemmArgs& whole, const GemmKernel& kernel, const GemmGrid& grid,
                             int64_t index) noexcept;

}  // namespace strop::engine
