#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/rng.h"
#include "strop/tune/gp/acquisition.h"
#include "strop/tune/sampler.h"

namespace strop::tune::gp {

// One number of [0, 1] a parameter, inactive ones included, so that a change of a choice finds values for the
// parameters that it makes active.
using Draw = std::vector<double>;

// The draw of a space, free by `taken`, at which an acquisition is highest. It is sought from uniform draws
// and from small and large steps away from `good` settled draws: the most promising are improved by L-BFGS in
// their numbers, rounded, and by single changes of their whole numbers and choices. nullopt when every
// candidate is taken.
STROP_API std::optional<Draw> MaximizeAcquisition(const Space& space, const Taken& taken,
                                                  const Acquisition& acquisition,
                                                  const std::vector<Draw>& good, Rng& rng);

}  // namespace strop::tune::gp
