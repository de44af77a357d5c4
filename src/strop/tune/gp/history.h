#pragma once

#include <vector>

#include "strop/base/api.h"
#include "strop/tune/gp/gp.h"
#include "strop/tune/sampler.h"

namespace strop::tune::gp {

// What a question's trials look like to a process.

// One loss a finished trial, the worst where it failed. Several objectives are reduced to one by weights
// drawn with the question's seed and trial.
STROP_API std::vector<double> Losses(const Question& question);

// Places in `losses` from the lowest to the highest, the earlier of equals first.
STROP_API std::vector<size_t> Ascending(const std::vector<double>& losses);

// Of very many trials, those that a process looks at: the best and the latest. By number.
inline constexpr size_t kMaxSamples = 1000;  // the cost of a suggestion grows with the cube
STROP_API std::vector<size_t> Limited(const std::vector<size_t>& ascending);

// The points of the chosen finished trials; outputs are left to the caller.
STROP_API Samples PointsOf(const Question& question, const std::vector<size_t>& chosen);
// A column a pending trial.
STROP_API Eigen::MatrixXd PendingPoints(const Question& question);

}  // namespace strop::tune::gp
