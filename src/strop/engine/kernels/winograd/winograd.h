#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/base/tensor.h"
#include "strop/engine/kernels/gemm/gemm.h"
#include "strop/engine/kernels/winograd/args.h"

namespace strop::engine {

// Convolutions of 3 × 3 at stride 1 and dilation 1 over float32 images of [batch, height, width, channels],
// by Winograd's minimal filtering: m × m answers cost (m+2)² multiplications a channel pair, not 9 m². Lavin
// and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015); the points of m = 4 are in points.h.
//
// Of 16 x 16 images of unit variance and He's weights, as shares of the answers' root mean square, the error
// is
//
//   channels    F(2x2) rms, most     F(4x4) rms, most     product of patches rms, most
//         64     2.6e-7   1.4e-6      7.8e-7   5.4e-6      4.2e-7   3.3e-6
//        128     3.5e-7   1.8e-6      1.0e-6   9.3e-6      5.8e-7   4.0e-6
//        256     4.9e-7   2.9e-6      1.5e-6   1.4e-5      8.3e-7   5.6e-6
//        512     7.0e-7   3.6e-6      2.0e-6   1.4e-5      1.2e-6   9.2e-6
//
// It is relative to the tile's largest pixels and the channels' weights, not to the answer itself.
//
//   plan     = PlanWinograd(shape, m, flags, threads)                 pure
//   weights  = PackWinograd(w, cout, cin, m, plan.gemm->tile.nr)      once
//   RunWinogradBlock(plan, args, block, scratch)                      for each of plan.blocks, in any order

// One registry line of kernels.inc. Thread safe, without state.
struct STROP_API WinogradKernel {
  std::string_view name;  // winograd_f32_4x4_avx2
  Isa isa;
  int64_t tile;  // m
  WinogradTransforms run;
};

// Every kernel compiled in, lowest instruction set first. Lives as long as the process.
STROP_API std::span<const WinogradKernel> WinogradKernels() noexcept;
// The best kernel of m = `tile`, 2 or 4, for a CPU with these flags. Pure.
STROP_API const WinogradKernel& PickWinograd(int64_t tile, const CpuFlags& flags) noexcept;

struct STROP_API WinogradShape {
  int64_t batch = 0, height = 0, width = 0, cin = 0, cout = 0;  // each from 1 up
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;

  // Of the answer; from 1 up.
  int64_t out_height() const noexcept { return height + pad_top + pad_bottom - 2; }
  int64_t out_width() const noexcept { return width + pad_left + pad_right - 2; }
};

// The m to use when nothing was timed, or 0 where a product of patches is as good: few channels, or so few
// pixels that the weights' way from memory is what counts. Pure.
STROP_API int64_t BestWinogradTile(const WinogradShape& shape) noexcept;

// The weights of each of (m+2)² products, as the GEMM kernels read them.
struct STROP_API WinogradWeights {
  int64_t tile = 0, nr = 0;
  Tensor panels;  // float32 [(m+2)², panels, cin, nr]
};
// From w of [cout, cin, 3, 3], in double. Takes (m+2)² / 9 of w's memory, and an m+2-th of that meanwhile.
STROP_API WinogradWeights PackWinograd(const float* w, int64_t cout, int64_t cin, int64_t tile, int64_t nr);

// How a convolution is cut into blocks of tiles, or of tiles and columns of the answer where there are fewer
// of the former than threads. A block's transformed pixels and products stay in L2 up to some 64 channels; of
// more, it has as many tiles as make its weights' way worth while.
struct STROP_API WinogradPlan {
  WinogradShape shape;
  const WinogradKernel* kernel = nullptr;
  const GemmKernel* gemm = nullptr;
  int64_t down = 0, across = 0;  // tiles of an image
  int64_t block_tiles = 0;       // but for the last block of them
  int64_t block_columns = 0;     // but for the last block of them
  int64_t column_blocks = 0;     // for each block of tiles
  int64_t blocks = 0;            // in all
  int64_t ldv = 0, v_plane = 0;  // floats between rows, and between matrices, in scratch
  int64_t ldm = 0, m_plane = 0;
  int64_t scratch_floats = 0;  // of one block
};
// `most_tiles` of a block, or 0 for as many as are best.
STROP_API WinogradPlan PlanWinograd(const WinogradShape& shape, int64_t tile, const CpuFlags& flags,
                                    int threads, int64_t most_tiles = 0) noexcept;

// Memory of the caller's, which outlives the call; alignment any, but of the weights.
struct STROP_API WinogradArgs {
  const float* x = nullptr;  // [batch, height, width, cin]
  int64_t ldx = 0;           // floats between pixels, from cin up
  const WinogradWeights* weights = nullptr;
  const float* bias = nullptr;      // cout; nullptr: none
  const float* residual = nullptr;  // as y, added before the clamp; nullptr: none. May be y, not x
  int64_t ld_residual = 0;
  Clamp clamp{};
  float* y = nullptr;  // [batch, out_height, out_width, cout], apart from x
  int64_t ldy = 0;     // floats between pixels, from cout up
};
// Answers the pixels of block 0 … plan.blocks - 1, and writes nothing else. Blocks may run at once, each with
// scratch_floats of 64-byte aligned memory of its own. The answer's bits do not depend on how many threads
// and blocks were planned.
//
// A pixel of infinity or NaN reaches every answer that it should, and may make NaN of any other of the tiles
// that read it.
STROP_API void RunWinogradBlock(const WinogradPlan& plan, const WinogradArgs& args, int64_t block,
                                float* scratch) noexcept;

}  // namespace strop::engine
