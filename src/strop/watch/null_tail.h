#pragma once

#include <span>

#include "strop/base/api.h"

namespace strop::watch {

// The upper tail of Q = sum of weight_i * Z_i^2 with independent standard normal Z_i, by the saddlepoint
// approximation of Lugannani and Rice (Kuonen, "Saddlepoint approximations for distributions of quadratic
// forms in normal variables", Biometrika 86, 1999): within a few percent of the probability, however far out.
// Weights: not negative, one above 0.
STROP_API double QuadraticFormTail(std::span<const double> weights, double q);

// The q whose tail is `probability`, which is less than the tail of the mean (about 0.4) and above 0.
STROP_API double QuadraticFormQuantile(std::span<const double> weights, double probability);

}  // namespace strop::watch
