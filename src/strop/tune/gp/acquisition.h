#pragma once

#include <Eigen/Core>

#include "strop/base/api.h"
#include "strop/tune/gp/gp.h"

namespace strop::tune::gp {

// How much lower than `best` a value drawn from N(mean, deviation²) is expected to lie, never counting a rise
// (Jones, Schonlau and Welch, "Efficient Global Optimization of Expensive Black-Box Functions", 1998):
// σ (φ(z) + z Φ(z)), z = (best - mean) / σ. deviation > 0.
STROP_API double ExpectedImprovement(double mean, double deviation, double best) noexcept;

// Its logarithm and the logarithm's derivatives, accurate where the improvement itself underflows, which is
// where a search for its maximum starts (Ament et al., "Unexpected Improvements to Expected Improvement for
// Bayesian Optimization", NeurIPS 2023).
struct LogImprovement {
  double value, by_mean, by_deviation;
};
STROP_API LogImprovement LogExpectedImprovement(double mean, double deviation, double best) noexcept;

// The same at a point of a process, with its gradient.
STROP_API double LogExpectedImprovement(const Gp& gp, double best, const Eigen::VectorXd& x,
                                        Eigen::VectorXd& gradient);
// At the columns of `queries`.
STROP_API Eigen::VectorXd LogExpectedImprovement(const Gp& gp, double best, const Eigen::MatrixXd& queries);

}  // namespace strop::tune::gp
