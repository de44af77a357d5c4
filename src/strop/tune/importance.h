#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/tune/sampler.h"
#include "strop/tune/study.h"

namespace strop::tune {

// How much of the variance of a loss over the whole space is that parameter's own: the variance of the mean
// loss at each of its values, as a share of the total. What the shares leave of 1 is the parameters' working
// together.
struct STROP_API Importance {
  std::string parameter;
  double share = 0;
  double deviation = 0;  // of the share, among the trees
};

constexpr size_t kTrialsForImportance = 4;

// Functional ANOVA over a random forest (Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing
// Hyperparameter Importance", ICML 2014), of all trials with losses; highest share first, equals in the
// space's order. The space is weighed as draws are: uniform, in the logarithm where `log`, every value of a
// choice alike. Where a trial lacks a parameter, inactive or not yet in a study defined by run, the parameter
// has no effect: each tree sees any value at random in its place. All shares are 0 when the loss is the same
// everywhere; they never add up to more than 1. A function of its arguments alone.
//
// Throw kFailedPrecondition for fewer than kTrialsForImportance trials with losses, kInvalidArgument for an
// objective that there is not.
STROP_API std::vector<Importance> ParameterImportances(const Space& space,
                                                       std::span<const Observation> trials,
                                                       size_t objective = 0);
STROP_API std::vector<Importance> ParameterImportances(Study& study, size_t objective = 0);

}  // namespace strop::tune
