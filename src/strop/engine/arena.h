#pragma once

#include <cstddef>
#include <vector>

#include "strop/base/api.h"

namespace strop::engine {

// A value that lives from the step that makes it to the last that reads it, both included.
struct STROP_API Lifetime {
  size_t bytes = 0;
  size_t first = 0;
  size_t last = 0;
};

struct STROP_API ArenaLayout {
  std::vector<size_t> offsets;  // of each value, multiples of 64
  size_t bytes = 0;
};

// Places values so that those alive at the same time never overlap: largest first, each at the lowest free
// offset. Pisarchyk and Lee, "Efficient memory management for deep neural net inference" (2020), greedy by
// size. Pure.
STROP_API ArenaLayout PlanArena(const std::vector<Lifetime>& values);

}  // namespace strop::engine
