#pragma once

#include "strop/base/api.h"
#include "strop/tune/cma/cma_sampler.h"
#include "strop/tune/gp/gp_sampler.h"
#include "strop/tune/sampler.h"
#include "strop/tune/tpe/tpe_sampler.h"

namespace strop::tune {

// `auto`: for each trial the sampler that was measured to do best in its place (docs/tune.md has the curves
// that the thresholds were read from), and in one of kRandomEvery trials the random one, so that no wrong
// belief lasts. A suggestion's reason says which and why. The choice depends on the question alone; of what
// is in it, trial_seconds was measured by a clock.
class STROP_API AutoSampler : public Sampler {
 public:
  Suggestion Ask(const Question& question) const override;

  static constexpr uint64_t kRandomEvery = 25;
  static constexpr size_t kGpParameters = 50;  // of more, a Gaussian process finds no more than CMA-ES
  static constexpr size_t kGpTrials = 1000;    // beyond, it looks at a part of them only
  static constexpr double kCostly = 0.1;       // seconds of a trial from which Monte Carlo gains surely pay

 private:
  const Sampler& Choose(const Question& question, std::string& reason) const;

  gp::GpSampler gp_;
  gp::GpSampler noisy_gp_{gp::Gain::kNoisyLogEi}, wary_gp_{gp::Gain::kByNoise};
  tpe::TpeSampler tpe_;
  cma::CmaSampler cma_;
};

}  // namespace strop::tune
