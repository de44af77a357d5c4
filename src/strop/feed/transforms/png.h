#pragma once

#include <cstdint>
#include <span>

#include "strop/base/api.h"
#include "strop/feed/transforms/jpeg.h"

namespace strop::feed {

// Decodes PNG (ISO/IEC 15948) of any colour type by libspng to planes of RGB, or of luma as Pillow makes it.
// 16 bits are cut to the upper 8; alpha is dropped, not blended. Throws kCorrupt for what is cut short or
// damaged (checksums are verified), kInvalidArgument for more than kMaxPixels.
STROP_API void DecodePng(std::span<const uint8_t> bytes, const Decoding& wanted, const TakePlanes& take);

}  // namespace strop::feed
