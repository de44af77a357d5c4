#pragma once

#include "strop/base/api.h"
#include "strop/tune/sampler.h"

namespace strop::tune::gp {

// Sobol points for the first trials, then the maximum of the log expected improvement under a Gaussian
// process of all finished trials. Trials still running take part with the value the process expects of them,
// so that parallel trials spread (Ginsbourger, Le Riche and Carraro's kriging believer, 2010); a failed trial
// counts as the worst one. The maximum is sought from many random points and points near the best trials: the
// most promising are improved by L-BFGS in their numbers, rounded, and by single changes of their whole
// numbers and choices. Every third suggestion takes the prior's hyperparameters instead of the fitted ones: a
// fit to few trials that has settled on the wrong parameters is found out.
class STROP_API GpSampler : public Sampler {
 public:
  Params Ask(const Question& question) const override;

  // Trials before the process takes over.
  static int64_t StartupTrials(const Space& space);
};

}  // namespace strop::tune::gp
