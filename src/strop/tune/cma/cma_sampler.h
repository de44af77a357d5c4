#pragma once

#include "strop/base/api.h"
#include "strop/tune/sampler.h"

namespace strop::tune::cma {

// CMA-ES (distribution.h), one generation after the other. A suggestion's state says of which generation it
// is and which trials made that generation's distribution, so that the distribution is worked out anew from
// the trials, the same whoever asks and whatever else has ended since. With more trials running than a
// generation has, further draws come from the latest one that is known. Trials of other samplers do not take
// part.
//
// Draws are ordered as ranking.h says, so that constraints and several objectives take part; a failed trial
// is the worst. Where the numbers have come to rest, it begins anew at a random place with twice the
// population (Auger and Hansen, "A restart CMA evolution strategy with increasing population size", 2005).
class STROP_API CmaSampler : public Sampler {
 public:
  Suggestion Ask(const Question& question) const override;
};

}  // namespace strop::tune::cma
