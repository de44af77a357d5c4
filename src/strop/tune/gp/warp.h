#pragma once

#include <Eigen/Core>

#include "strop/base/api.h"

namespace strop::tune::gp {

// Outputs (lower is better) as a surrogate wants them: mean 0, deviation 1. The better half keeps its
// distances; the worse half keeps only its order and is spread as the upper half of a normal distribution of
// the better half's width, so that a diverged run does not flatten all others (the half-rank warping of Song
// et al., "The Vizier Gaussian Process Bandit Algorithm", 2024). Equal outputs stay equal; constant outputs
// become zeros.
STROP_API Eigen::VectorXd WarpOutputs(const Eigen::VectorXd& outputs);

}  // namespace strop::tune::gp
