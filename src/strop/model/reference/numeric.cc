#include "strop/model/reference/numeric.h"

#include <cstring>

#include "strop/model/dims.h"

namespace strop::model::reference {

std::vector<int64_t> RowMajorStrides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  return strides;
}

std::vector<int64_t> BroadcastStrides(const Shape& shape, const Shape& broadcast) {
  const std::vector<int64_t> own = RowMajorStrides(shape);
  std::vector<int64_t> strides(broadcast.size(), 0);
  const size_t lead = broadcast.size() - shape.size();
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] != 1) strides[lead + axis] = own[axis];
  }
  return strides;
}

Tensor CopyWalk(const Tensor& source, const Shape& output, std::vector<int64_t> strides, int64_t start) {
  Tensor result = Tensor::New(source.dtype(), output);
  const size_t element = SizeOf(source.dtype());
  const auto* from = static_cast<const char*>(source.data());
  auto* to = static_cast<char*>(result.data());
  Walk walk(output, {std::move(strides)});
  for (int64_t i = 0, count = result.size(); i < count; ++i, walk.Next()) {
    std::memcpy(to + static_cast<size_t>(i) * element,
                from + static_cast<size_t>(start + walk.offset(0)) * element, element);
  }
  return result;
}

Around SplitAround(const Shape& shape, int64_t axis) {
  const auto at = static_cast<size_t>(axis);
  return {Product(shape, 0, at), shape[at], Product(shape, at + 1, shape.size())};
}

}  // namespace strop::model::reference
