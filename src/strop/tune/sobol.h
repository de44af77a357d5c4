#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "strop/base/api.h"

namespace strop::tune {

inline constexpr size_t kSobolDimensions = 40;

// The `index`-th point of the Sobol sequence in [0, 1)^dimensions, with the direction numbers of Joe and Kuo
// ("Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci. Comput. 30, 2008),
// scrambled by a random digital shift keyed by `seed` (0 in `shift`: none, the textbook's points). Dimensions
// past kSobolDimensions are independent uniform draws keyed by (seed, index). index < 2^32 - 1.
STROP_API std::vector<double> SobolPoint(uint64_t index, size_t dimensions, uint64_t seed, bool shift = true);

}  // namespace strop::tune
