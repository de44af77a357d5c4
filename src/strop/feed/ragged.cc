#include "strop/feed/ragged.h"

#include <algorithm>
#include <cstring>

namespace strop::feed {
namespace {

// Bytes of one element of a ragged row.
size_t ElementBytes(const data::Column& column) {
  return static_cast<size_t>(ElementCount(Shape(column.shape.begin() + 1, column.shape.end()))) *
         SizeOf(column.dtype);
}

}  // namespace

std::string LengthName(const std::string& column) { return column + "_length"; }

void RaggedRows::Put(size_t row, const uint8_t* values, size_t bytes) {
  std::lock_guard lock(mutex_);
  rows_[row] = {bytes_.size(), bytes};
  bytes_.insert(bytes_.end(), values, values + bytes);
}

Tensor RaggedRows::Padded(const data::Column& column) const {
  size_t longest = 0;
  for (const auto& [begin, size] : rows_) longest = std::max(longest, size);
  Shape shape = column.shape;
  shape[0] = static_cast<int64_t>(longest / ElementBytes(column));
  shape.insert(shape.begin(), static_cast<int64_t>(rows_.size()));
  Tensor padded = Tensor::New(column.dtype, shape);
  auto* out = static_cast<uint8_t*>(padded.data());
  for (const auto& [begin, size] : rows_) {
    if (size > 0) std::memcpy(out, bytes_.data() + begin, size);
    std::memset(out + size, 0, longest - size);
    out += longest;
  }
  return padded;
}

Tensor RaggedRows::Lengths(const data::Column& column) const {
  Tensor lengths = Tensor::New(DType::kI32, {static_cast<int64_t>(rows_.size())});
  auto* out = static_cast<int32_t*>(lengths.data());
  for (const auto& [begin, size] : rows_) *out++ = static_cast<int32_t>(size / ElementBytes(column));
  return lengths;
}

}  // namespace strop::feed
