#include "strop/engine/kernels/winograd/winograd.h"

#include <algorithm>

#include "strop/engine/kernels/winograd/declarations.h"

namespace strop::engine {
namespace {

// A cache line of floats. Rows and matrices an odd number of lines apart fall into different sets of L1.
constexpr int64_t kLine = 16;
// What a block's matrices, or the weights, may take of L2: half of 2 MiB.
constexpr int64_t kBlockFloats = (1 << 20) / 4;
// Tiles, at the least, of a block: rows enough for its products.
constexpr int64_t kFewTiles = 72;
// Columns, at the least, of a block of some of them: each transforms the pixels anew.
constexpr int64_t kFewColumns = 64;

int64_t DivideUp(int64_t size, int64_t unit) { return (size + unit - 1) / unit; }

int64_t OddLines(int64_t floats) { return (DivideUp(floats, kLine) | 1) * kLine; }

}  // namespace

std::span<const WinogradKernel> WinogradKernels() noexcept {
  static const WinogradKernel kKernels[] = {
#define STROP_WINOGRAD_KERNEL(name, isa, tile) {#name, Isa::isa, tile, name()},
#include "strop/engine/kernels/winograd/kernels.inc"
#undef STROP_WINOGRAD_KERNEL
  };
  return kKernels;
}

const WinogradKernel& PickWinograd(int64_t tile, const CpuFlags& flags) noexcept {
  const std::span<const WinogradKernel> all = WinogradKernels();
  const WinogradKernel* best = &all.front();
  for (const WinogradKernel& kernel : all) {
    if (kernel.tile == tile && kernel.isa <= HighestIsa(flags)) best = &kernel;
  }
  return *best;
}

int64_t BestWinogradTile(const WinogradShape& shape) noexcept {
  // In multiplications of a product at the speed of AVX-512. A weight that comes from memory, as it does when
  // a whole network runs, takes as long as kWeight of them; to transform a channel of a pixel, and back,
  // takes kTransform for each product. Within a fifth of nine layers measured so (Emerald Rapids, one
  // thread).
  constexpr double kWeight = 14, kTransform = 12;
  const auto real = [](int64_t size) { return static_cast<double>(size); };
  const double pairs = real(shape.cin * shape.cout), pixels = real(shape.out_height() * shape.out_width());
  double least = 9 * pairs * (real(shape.batch) * pixels + kWeight);
  int64_t best = 0;
  for (const int64_t tile : {2, 4}) {
    const double tiles =
        real(shape.batch * DivideUp(shape.out_height(), tile) * DivideUp(shape.out_width(), tile));
    const double lanes = real((DivideUp(shape.cin, kLine) + DivideUp(shape.cout, kLine)) * kLine);
    const double cost =
        real((tile + 2) * (tile + 2)) * (pairs * (tiles + kWeight) + kTransform * tiles * lanes);
    if (cost >= least) continue;
    least = cost;
    best = tile;
  }
  return best;
}

WinogradPlan PlanWinograd(const WinogradShape& shape, int64_t tile, const CpuFlags& flags, int threads,
                          int64_t most_tiles) noexcept {
  WinogradPlan plan;
  plan.shape = shape;
  plan.kernel = &PickWinograd(tile, flags);
  plan.down = DivideUp(shape.out_height(), tile);
  plan.across = DivideUp(shape.out_width(), tile);
  const int64_t tiles = shape.batch * plan.down * plan.across;
  plan.gemm = &PickGemm({tiles, shape.cout, shape.cin}, flags);
  const int64_t mr = plan.gemm->tile.mr, nr = plan.gemm->tile.nr, products = (tile + 2) * (tile + 2);
  const int64_t weights = products * shape.cin * shape.cout;
  if (most_tiles == 0) {
    // The weights' way into L2, once a block, is as long as that of its matrices out and back at
    // cin · cout / 2 (cin + cout) tiles.
    const int64_t even = shape.cin * shape.cout / (2 * (shape.cin + shape.cout));
    most_tiles = std::max({kBlockFloats / (products * (shape.cin + shape.cout)), even, kFewTiles});
  }
  int64_t tile_blocks = DivideUp(tiles, most_tiles);
  // Weights that L2 holds may be read by every thread; others are rather cut between them, by columns.
  if (weights <= kBlockFloats)
    tile_blocks = std::max(tile_blocks, std::min<int64_t>(threads, tiles / (2 * mr)));
  if (tile_blocks >= threads) tile_blocks = DivideUp(tile_blocks, threads) * threads;
  plan.block_tiles = DivideUp(tiles, tile_blocks);
  // Whole tiles of the product, where that idles no thread.
  if (threads == 1 || tile_blocks / threads >= 8)
    plan.block_tiles = std::min({DivideUp(plan.block_tiles, mr) * mr, most_tiles, tiles});
  tile_blocks = DivideUp(tiles, plan.block_tiles);
  const int64_t panels = DivideUp(shape.cout, nr), most_columns = DivideUp(shape.cout, kFewColumns);
  const int64_t column_blocks = std::clamp<int64_t>(threads / tile_blocks, 1, most_columns);
  plan.block_columns = DivideUp(panels, column_blocks) * nr;
  plan.column_blocks = DivideUp(shape.cout, plan.block_columns);
  plan.blocks = tile_blocks * plan.column_blocks;
  plan.ldv = OddLines(shape.cin);
  plan.v_plane = OddLines(plan.block_tiles * plan.ldv);
  plan.ldm = OddLines(std::min(plan.block_columns, shape.cout));
  plan.m_plane = OddLines(plan.block_tiles * plan.ldm);
  plan.scratch_floats = products * (plan.v_plane + plan.m_plane);
  return plan;
}

void RunWinogradBlock(const WinogradPlan& plan, const WinogradArgs& args, int64_t block,
                      float* scratch) noexcept {
  const WinogradShape& shape = plan.shape;
  const int64_t first = block / plan.column_blocks * plan.block_tiles;
  const int64_t column = block % plan.column_blocks * plan.block_columns;
  const WinogradTiles tiles{plan.down, plan.across, first,
                            std::min(plan.block_tiles, shape.batch * plan.down * plan.across - first)};
  const int64_t products = (plan.kernel->tile + 2) * (plan.kernel->tile + 2);
  float *const v = scratch, *const m = scratch + products * plan.v_plane;

  WinogradInputArgs input;
  input.tiles = tiles;
  input.x = args.x;
  input.height = shape.height;
  input.width = shape.width;
  input.channels = shape.cin;
  input.ldx = args.ldx;
  input.pad_top = shape.pad_top;
  input.pad_left = shape.pad_left;
  input.v = v;
  input.ldv = plan.ldv;
  input.plane = plan.v_plane;
  plan.kernel->run.input(input);

  GemmArgs product;
  product.m = tiles.count;
  product.n = std::min(plan.block_columns, shape.cout - column);
  product.k = shape.cin;
  product.lda = plan.ldv;
  product.ldc = plan.ldm;
  const auto* panels = static_cast<const float*>(args.weights->panels.data());
  const int64_t nr = args.weights->nr, weights = DivideUp(shape.cout, nr) * shape.cin * nr;
  for (int64_t p = 0; p < products; ++p) {
    product.a = v + p * plan.v_plane;
    product.b = panels + p * weights + column * shape.cin;
    product.c = m + p * plan.m_plane;
    plan.gemm->run(product);
  }

  WinogradOutputArgs output;
  output.tiles = tiles;
  output.m = m;
  output.ldm = plan.ldm;
  output.plane = plan.m_plane;
  output.height = shape.out_height();
  output.width = shape.out_width();
  output.channels = product.n;
  output.bias = args.bias == nullptr ? nullptr : args.bias + column;
  output.residual = args.residual == nullptr ? nullptr : args.residual + column;
  output.ld_residual = args.ld_residual;
  output.clamp = args.clamp;
  output.y = args.y + column;
  output.ldy = args.ldy;
  plan.kernel->run.output(output);
}

}  // namespace strop::engine
