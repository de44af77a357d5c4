#include "strop/engine/kernels/gemm/grid.h"

#include <algorithm>
#include <array>

namespace strop::engine {

GemmGrid SplitGemm(const GemmShape& shape, const GemmTiling& tile, int threads, int64_t worth) noexcept {
  GemmGrid grid;
  const int64_t work = shape.m * shape.n * shape.k;
  const int64_t parts = std::min<int64_t>(threads, work / worth);
  if (parts <= 1) return grid;
  const int64_t row_tiles = (shape.m + tile.mr - 1) / tile.mr;
  const int64_t column_tiles = (shape.n + tile.nr - 1) / tile.nr;
  // Cut rows first, which leaves the weights shared in L3; few rows are cut by columns, so that no thread
  // idles.
  if (!tile.gemv) grid.rows = std::min(parts, row_tiles);
  if (grid.rows * 2 <= parts) grid.columns = std::min(parts / grid.rows, column_tiles);
  return grid;
}

GemmPart PartOfGrid(const GemmShape& shape, const GemmTiling& tile, const GemmGrid& grid,
                    int64_t index) noexcept {
  const auto share = [](int64_t size, int64_t unit, int64_t parts, int64_t part) {
    const int64_t tiles = (size + unit - 1) / unit;
    return std::array{std::min(size, tiles * part / parts * unit),
                      std::min(size, tiles * (part + 1) / parts * unit)};
  };
  const auto [m0, m1] = share(shape.m, tile.mr, grid.rows, index / grid.columns);
  const auto [n0, n1] = share(shape.n, tile.nr, grid.columns, index % grid.columns);
  return {m0, m1, n0, n1};
}

}  // namespace strop::engine
