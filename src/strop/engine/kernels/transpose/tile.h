#pragma once

#include <cstdint>
#include <cstring>

#include "strop/engine/kernels/transpose/args.h"

// The one shape of every kernel, over a type V of the ISA file's unnamed namespace, so that each file keeps
// its own instances: tiles of V::kTile × V::kTile elements of type V::Element, by V::Tile(in, in_row, rows,
// columns, out, out_row), of which the last ones are smaller.
namespace strop::engine {

// Row by row of what is written.
template <class V>
inline void TransposeTiles(const TransposeArgs& g) noexcept {
  using T = typename V::Element;
  const T* in = static_cast<const T*>(g.in);
  T* out = static_cast<T*>(g.out);
  for (int64_t j = 0; j < g.columns; j += V::kTile) {
    const int64_t columns = j + V::kTile < g.columns ? V::kTile : g.columns - j;
    for (int64_t i = 0; i < g.rows; i += V::kTile) {
      const int64_t rows = i + V::kTile < g.rows ? V::kTile : g.rows - i;
      V::Tile(in + i * g.in_row + j, g.in_row, rows, columns, out + j * g.out_row + i, g.out_row);
    }
  }
}

// A tile an element at a time.
template <class V>
inline void TransposePlain(const typename V::Element* in, int64_t in_row, int64_t rows, int64_t columns,
                           typename V::Element* out, int64_t out_row) noexcept {
  for (int64_t j = 0; j < columns; ++j)
    for (int64_t i = 0; i < rows; ++i)
      std::memcpy(out + j * out_row + i, in + i * in_row + j, sizeof(typename V::Element));
}

template <class Bytes, class Words>
inline void Transpose(const TransposeArgs& g) noexcept {
  if (g.element == 1) return TransposeTiles<Bytes>(g);
  TransposeTiles<Words>(g);
}

}  // namespace strop::engine
