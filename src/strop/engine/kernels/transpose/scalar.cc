#include "strop/engine/kernels/transpose/declarations.h"
#include "strop/engine/kernels/transpose/tile.h"

namespace strop::engine {
namespace {

template <class T>
struct Plain {
  using Element = T;
  static constexpr int64_t kTile = 16;
  static void Tile(const T* in, int64_t in_row, int64_t rows, int64_t columns, T* out,
                   int64_t out_row) noexcept {
    TransposePlain<Plain>(in, in_row, rows, columns, out, out_row);
  }
};

}  // namespace

void transpose_scalar(const TransposeArgs& args) noexcept {
  Transpose<Plain<uint8_t>, Plain<uint32_t>>(args);
}

}  // namespace strop::engine
