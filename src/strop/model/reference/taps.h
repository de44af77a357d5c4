#pragma once

#include <cstdint>
#include <vector>

#include "strop/model/dims.h"

namespace strop::model::reference {

// One element of the kernel that falls on the input: both as offsets into their spatial axes.
struct Tap {
  int64_t input;
  int64_t kernel;
};

// What one output position of a sliding window sees, and how many kernel positions fall on the input with its
// pads.
struct Taps {
  std::vector<Tap> taps;
  int64_t padded = 0;
};

// `position` is the output's index on the spatial axes.
Taps TapsAt(const Window& window, const Shape& spatial, const std::vector<int64_t>& position);

}  // namespace strop::model::reference
