#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/engine/kernels/transpose/args.h"

namespace strop::engine {

// How a tensor's elements move when its axes change places: as pieces that are either runs of memory or
// transposed matrices. Axes of one element do not count, and those that stay together are one.
class STROP_API Permutation {
 public:
  static constexpr size_t kMostAxes = 8;

  // Axis i of the answer is axis perm[i] of the input, kMostAxes or fewer; `element` is its size in bytes.
  Permutation(const Shape& shape, std::span<const int64_t> perm, int64_t element) noexcept;

  int64_t pieces() const noexcept { return pieces_; }
  // Pieces [begin, end). Others may run at the same time.
  void Run(const void* in, void* out, int64_t begin, int64_t end, TransposeFn transpose) const noexcept;

 private:
  struct Axis {
    int64_t size, in, out;  // elements from one to the next
  };

  void Append(Axis axis) noexcept;
  void Piece(const char* in, char* out, TransposeFn transpose) const noexcept;

  int64_t element_;
  std::array<Axis, kMostAxes + 1> axes_{};  // of the answer, without those of a piece
  size_t count_ = 0;
  int64_t pieces_ = 1;
  int64_t run_ = 1;  // elements, of pieces of memory; 0: matrices
  int64_t rows_ = 0, columns_ = 0, in_row_ = 0, out_row_ = 0;
};

}  // namespace strop::engine
