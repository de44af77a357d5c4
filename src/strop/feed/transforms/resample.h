#pragma once

#include <cstdint>

#include "strop/feed/transforms/image.h"

namespace strop::feed {

enum class Interpolation {
  kNearest,           // the input pixel under the centre of the output's, as Pillow (torch: "nearest-exact")
  kBilinear,          // between the two nearest centres, also when shrinking
  kBilinearAntialias  // a triangle as wide as an output pixel when shrinking, as Pillow and torchvision
};

// Resizes each channel to [height, width] at `out`, dense and of the image's dtype, uint8 or float32.
// Separable: columns of the image first, then rows, with the filter of Pillow (src/libImaging/Resample.c,
// precompute_coeffs). uint8 is computed in fixed point with weights of 16 bits, as torchvision does, but six
// bits of fraction are kept between the passes: results are within 1 of exact arithmetic. Thread safe;
// weights and the intermediate are kept a thread.
STROP_API void Resample(const Image& image, int64_t height, int64_t width, Interpolation how, uint8_t* out);

}  // namespace strop::feed
