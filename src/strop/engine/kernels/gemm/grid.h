#pragma once

#include <cstdint>

#include "strop/base/api.h"

namespace strop::engine {

struct STROP_API GemmShape {
  int64_t m = 0, n = 0, k = 0;
};

// How a kernel cuts a product.
struct STROP_API GemmTiling {
  bool gemv;   // streams the weights once a row: for a lone row
  int64_t mr;  // rows of a tile
  int64_t nr;  // columns of a tile, and of a panel of packed weights
};

// Multiply-adds of a block of float32, and of bytes, that take some 2 µs of one core: a worker that spins
// begins on its own within 1 µs.
inline constexpr int64_t kFloatWorth = 1 << 17, kInt8Worth = 1 << 20;

// How many blocks of rows and of columns to cut a product into for so many threads; each block then is one
// call of the kernel. Pure. Blocks have `worth` multiply-adds or more.
struct STROP_API GemmGrid {
  int64_t rows = 1, columns = 1;
};
STROP_API GemmGrid SplitGemm(const GemmShape& shape, const GemmTiling& tile, int threads,
                             int64_t worth) noexcept;

// The rows and columns of block `index` of the grid; none for the last ones, where tiles are few.
struct STROP_API GemmPart {
  int64_t m0, m1, n0, n1;
};
STROP_API GemmPart PartOfGrid(const GemmShape& shape, const GemmTiling& tile, const GemmGrid& grid,
                              int64_t index) noexcept;

}  // namespace strop::engine
