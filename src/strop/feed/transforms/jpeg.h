#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "strop/base/api.h"

namespace strop::feed {

// More pixels than this are refused before memory is taken: Pillow's limit against decompression bombs.
inline constexpr int64_t kMaxPixels = 178'956'970;

// How an encoded image is wanted.
struct Decoding {
  bool grey = false;
  // JPEG only: decode at 1/2, 1/4 or 1/8, the smallest that is not below these; 0: whole.
  int64_t min_height = 0, min_width = 0;
};

// Answers where the planes [1 or 3, height, width] go.
using TakePlanes = std::function<uint8_t*(int64_t height, int64_t width)>;

// Decodes baseline and progressive JPEG (ITU-T T.81) by libjpeg-turbo to planes of RGB or of luma (ITU-R
// BT.601). The orientation of EXIF is not applied. Throws kCorrupt for what is cut short or damaged, also
// where libjpeg would only warn; kUnsupported for CMYK; kInvalidArgument for more than kMaxPixels.
STROP_API void DecodeJpeg(std::span<const uint8_t> bytes, const Decoding& wanted, const TakePlanes& take);

}  // namespace strop::feed
