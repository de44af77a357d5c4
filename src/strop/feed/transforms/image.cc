#include "strop/feed/transforms/image.h"

#include "strop/feed/transforms/registry.h"

namespace strop::feed {

Image Image::Of(const RowValue& row) {
  return {row.dtype,
          row.data,
          row.shape[0],
          row.shape[1],
          row.shape[2],
          row.shape[2],
          row.shape[1] * row.shape[2]};
}

Image Image::Window(int64_t top, int64_t left, int64_t rows, int64_t columns) const {
  Image window = *this;
  window.data += static_cast<size_t>(top * row_stride + left) * SizeOf(dtype);
  window.height = rows;
  window.width = columns;
  return window;
}

void CheckImages(const data::Column& in, bool floats_or_bytes) {
  const bool planes = in.shape.size() == 3 && in.shape[0] > 0 && in.shape[1] != 0 && in.shape[2] != 0;
  const bool typed = !floats_or_bytes || in.dtype == DType::kU8 || in.dtype == DType::kF32;
  if (planes && typed) return;
  RefuseInput(in, floats_or_bytes ? "uint8 or float32 images [channels, height, width]"
                                  : "images [channels, height, width]");
}

}  // namespace strop::feed
