#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "strop/base/api.h"
#include "strop/tune/sampler.h"

namespace strop::tune {

// The places in `trials` of those that have losses, best first. Feasible ones come before the others, which
// are ordered by the sum of their violations. Of one objective, feasible ones are ordered by their loss; of
// several, by their front and, within a front, the more space around one the earlier (pareto.h). Equals stay
// in order. Of one objective only the first `most` are needed to be in order; the others follow in any.
STROP_API std::vector<size_t> BestFirst(std::span<const Observation> trials,
                                        size_t most = std::numeric_limits<size_t>::max());

}  // namespace strop::tune
