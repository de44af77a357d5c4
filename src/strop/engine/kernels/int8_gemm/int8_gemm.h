#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/base/tensor.h"
#include "strop/engine/kernels/gemm/grid.h"
#include "strop/engine/kernels/int8_gemm/args.h"

namespace strop::engine {

// One registry line of kernels.inc.
struct STROP_API Int8GemmKernel {
  std::string_view name;  // gemm_u8s8_6x64_avx512vnni: types, tile, instruction set
  Isa isa;
  // Columns of a vector of a kernel that adds pairs of products in 16 bits, so that rests must be taken off
  // the weights; else 0.
  int64_t rest_lanes;
  GemmTiling tile;  // nr is also that of a panel of packed weights
  int64_t depth;    // what the parts of a row are multiples of
  Int8GemmFn run;
};

// Every kernel compiled in, lowest instruction set first. Lives as long as the process.
STROP_API std::span<const Int8GemmKernel> Int8GemmKernels() noexcept;
// nullptr when there is none of that name.
STROP_API const Int8GemmKernel* FindInt8GemmKernel(std::string_view name) noexcept;
// The one to use when nothing was timed. Those of one set of flags share the packing. Pure.
STROP_API const Int8GemmKernel& PickInt8Gemm(const GemmShape& shape, const CpuFlags& flags) noexcept;

// Above it a sum of k products may not fit into 32 bits: 2^31 / (255 · 128).
inline constexpr int64_t kMostInt8Depth = 65'793;

// Weights as a kernel reads them: panels of nr columns in groups of four rows, [panels, k / 4, nr, 4] with k
// and n padded with zeros. For a kernel that saturates, no pair of neighbouring rows can exceed 16 bits with
// any unsigned bytes: its positive weights add up to at most 128, its negative ones to at least -128
// (255 · 128 < 2^15). What that takes off the weights of rest_lanes columns lies in a list of vectors, as
// safe pairs again: four weights a column, and which of kInt8RestSpan rows each is of.
struct STROP_API PackedInt8Weights {
  int64_t n = 0, k = 0;
  Tensor panels;
  std::vector<int32_t> sums;        // of each column
  Tensor rests;                     // [vectors, 2, rest_lanes, 4]: weights, and their rows less rest_row
  std::vector<int32_t> rest_row;    // of each vector, ascending; a list ends in one beyond all
  std::vector<int64_t> rest_begin;  // the list of each rest_lanes columns; empty: no rests
};
// From row-major b of [k, n], or [n, k] when transposed. `part`: the args' tap_depth; where it is
// kInt8RestSpan or more, args without parts will do too. A vector of rests is of rows of one part.
STROP_API PackedInt8Weights PackInt8Weights(const int8_t* b, int64_t n, int64_t k, bool transposed,
                                            const Int8GemmKernel& kernel, int64_t part = 0);

// The arguments of block `index` of the grid; m or n may be 0 for the last ones.
STROP_API Int8GemmArgs Int8GemmBlock(const Int8GemmArgs& whole, const Int8GemmKernel& kernel,
                                     const GemmGrid& grid, int64_t index) noexcept;

}  // namespace strop::engine
