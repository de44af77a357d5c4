#pragma once

#include <cstdint>

#include "strop/feed/transforms/transform.h"

namespace strop::feed {

// Planes one after the other, as decode makes them, or a window of such. Strides are in elements.
struct Image {
  DType dtype = DType::kU8;
  const uint8_t* data = nullptr;
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t row_stride = 0;
  int64_t plane_stride = 0;

  static Image Of(const RowValue& row);
  // Part of this one, which must contain it.
  Image Window(int64_t top, int64_t left, int64_t rows, int64_t columns) const;
  const uint8_t* Row(int64_t channel, int64_t row) const {
    return data + static_cast<size_t>(channel * plane_stride + row * row_stride) * SizeOf(dtype);
  }
};

// Throws kInvalidArgument unless the column is images [channels, height, width], of which only height and
// width may be -1; with `floats_or_bytes`, of uint8 or float32.
void CheckImages(const data::Column& in, bool floats_or_bytes);

// Largest height and width that an option may ask for: libjpeg's own limit.
inline constexpr int64_t kMaxSide = 65500;

// Where a window of a size is cut.
struct Cut {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

// The window of torchvision's RandomResizedCrop (Szegedy et al., "Going deeper with convolutions", CVPR 2015,
// section 6): an area of `scale` of the image's, drawn uniformly, and a ratio width / height drawn
// log-uniformly from `ratio`; after ten draws that do not fit, the largest centred window within `ratio`.
// Draws from `key` alone.
STROP_API Cut DrawCut(int64_t height, int64_t width, std::pair<double, double> scale,
                      std::pair<double, double> ratio, uint64_t key);

}  // namespace strop::feed
