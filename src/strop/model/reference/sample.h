#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "strop/base/tensor.h"

namespace strop::model::reference {

enum class Outside { kZeros, kBorder, kReflection };
// How values between the elements of a plane are found, its axes in order.
struct Sampling {
  int taps = 2;  // an axis: 1 nearest, 2 linear, 4 cubic (Keys, a = -0.75)
  Outside outside = Outside::kZeros;
  bool align_corners = false;  // reflection is about the outer elements' centres, otherwise their edges
};

// The value of the plane at `position`, in elements.
double SampleAt(std::span<const double> plane, const Shape& shape, std::vector<double> position,
                const Sampling& sampling);

}  // namespace strop::model::reference
