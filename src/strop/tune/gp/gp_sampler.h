#pragma once

#include "strop/base/api.h"
#include "strop/tune/sampler.h"

namespace strop::tune::gp {

// How a suggestion weighs what is known against what may be found.
enum class Gain {
  kLogEi,       // closed-form expected improvement, by its logarithm; running trials count as expected
  kNoisyLogEi,  // Monte Carlo over what is uncertain of the best and of the running trials (noisy_ei.h)
  kByNoise,     // the latter where the process finds that values are noisy, else the former
  kConfidenceBound,
};

// Sobol points for the first trials, then the maximum of an acquisition under a Gaussian process of all
// finished trials. Where Gain does not say otherwise, trials still running take part with the value the
// process expects of them, so that parallel trials spread (Ginsbourger, Le Riche and Carraro's kriging
// believer, 2010); a failed trial counts as the worst one. How the maximum is sought: search.h. Every third
// suggestion takes the prior's hyperparameters instead of the fitted ones: a fit to few trials that has
// settled on the wrong parameters is found out.
//
// Several objectives are reduced to one by the augmented Chebyshev norm with weights drawn a trial (Knowles,
// "ParEGO", 2006). Each outcome constraint has a process of its own, and the acquisition is that of a
// feasible improvement; before anything is feasible, the probability of being so.
class STROP_API GpSampler : public Sampler {
 public:
  explicit GpSampler(Gain gain = Gain::kLogEi) : gain_(gain) {}
  Suggestion Ask(const Question& question) const override;

  // Trials before the process takes over.
  static int64_t StartupTrials(const Space& space);

 private:
  Gain gain_;
};

}  // namespace strop::tune::gp
