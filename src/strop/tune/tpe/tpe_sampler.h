#pragma once

#include "strop/base/api.h"
#include "strop/tune/sampler.h"

namespace strop::tune::tpe {

// Sobol points for the first trials, then the tree-structured Parzen estimator (parzen.h): of candidates
// drawn from the density of the good trials, the one at which it exceeds the density of the others by the
// largest factor. Good are the first of BestFirst (ranking.h), so that constraints and several objectives
// take part (Ozaki, Tanigaki, Watanabe and Onishi, "Multiobjective tree-structured parzen estimator for
// computationally expensive optimization problems", 2020). Trials that failed or are still running are among
// the others: what is being tried is not suggested again (constant liar).
class STROP_API TpeSampler : public Sampler {
 public:
  Suggestion Ask(const Question& question) const override;

  // How many of `valued` trials are good.
  static size_t GoodCount(size_t valued);
};

}  // namespace strop::tune::tpe
