#pragma once

#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "strop/base/tensor.h"

namespace strop::model::reference {

inline bool IsFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16;
}

// What every float operator computes in. Cast(dtype) of the result rounds once.
inline Tensor Doubles(const Tensor& tensor) { return tensor.Cast(DType::kF64); }
inline Tensor NewDoubles(Shape shape) { return Tensor::New(DType::kF64, std::move(shape)); }

// Calls visit with a value of the C++ integer type of the dtype; bool counts as uint8. Answers false for
// floats.
template <class Visit>
bool VisitInteger(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::kU8:
      visit(uint8_t{});
      return true;
    case DType::kI8:
      visit(int8_t{});
      return true;
    case DType::kU16:
      visit(uint16_t{});
      return true;
    case DType::kI16:
      visit(int16_t{});
      return true;
    case DType::kU32:
      visit(uint32_t{});
      return true;
    case DType::kI32:
      visit(int32_t{});
      return true;
    case DType::kU64:
      visit(uint64_t{});
      return true;
    case DType::kI64:
      visit(int64_t{});
      return true;
    default:
      return false;
  }
}

// Walks `shape` in row-major order and keeps, for several operands at once, the offset that strides give.
class Walk {
 public:
  Walk(Shape shape, std::vector<std::vector<int64_t>> strides)
      : shape_(std::move(shape)),
        strides_(std::move(strides)),
        index_(shape_.size(), 0),
        offsets_(strides_.size(), 0) {}

  int64_t offset(size_t operand) const { return offsets_[operand]; }
  const std::vector<int64_t>& index() const { return index_; }
  void Next() {
    for (size_t axis = shape_.size(); axis-- > 0;) {
      ++index_[axis];
      for (size_t k = 0; k < strides_.size(); ++k) offsets_[k] += strides_[k][axis];
      if (index_[axis] < shape_[axis]) return;
      for (size_t k = 0; k < strides_.size(); ++k) offsets_[k] -= strides_[k][axis] * shape_[axis];
      index_[axis] = 0;
    }
  }

 private:
  Shape shape_;
  std::vector<std::vector<int64_t>> strides_;
  std::vector<int64_t> index_;
  std::vector<int64_t> offsets_;
};

// Elements between neighbours along each axis.
std::vector<int64_t> RowMajorStrides(const Shape& shape);
// The same as seen from a broadcast shape: 0 along the axes that repeat.
std::vector<int64_t> BroadcastStrides(const Shape& shape, const Shape& broadcast);

// output[i] = source[offsets[i]] for any dtype, where `walk` has one operand.
Tensor CopyWalk(const Tensor& source, const Shape& output, std::vector<int64_t> strides, int64_t start = 0);

// A shape seen as [outer, axis, inner] around one axis.
struct Around {
  int64_t outer, size, inner;
};
Around SplitAround(const Shape& shape, int64_t axis);

}  // namespace strop::model::reference
