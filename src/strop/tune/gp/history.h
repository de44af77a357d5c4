#pragma once

#include <vector>

#include "strop/base/api.h"
#include "strop/tune/gp/gp.h"
#include "strop/tune/pareto.h"
#include "strop/tune/sampler.h"

namespace strop::tune::gp {

// What a question's trials look like to a process.

// Places of the finished trials, best first (ranking.h), failed ones last.
STROP_API std::vector<size_t> BestToWorst(const Question& question);

// An objective's losses of the chosen finished trials; of a failed one, the worst of all.
STROP_API Eigen::VectorXd LossesOf(const Question& question, const std::vector<size_t>& chosen,
                                   size_t objective);

// From where a hypervolume counts: a little worse than the front's worst values, or, of a front of one, than
// all rows'.
STROP_API std::vector<double> ReferencePoint(tune::Losses front, tune::Losses all);

// Of very many trials, those that a process looks at: the best and the latest. By number.
inline constexpr size_t kMaxSamples = 1000;  // the cost of a suggestion grows with the cube
STROP_API std::vector<size_t> Limited(const std::vector<size_t>& order);

// The points of the chosen finished trials; outputs are left to the caller.
STROP_API Samples PointsOf(const Question& question, const std::vector<size_t>& chosen);
// A column a pending trial.
STROP_API Eigen::MatrixXd PendingPoints(const Question& question);

}  // namespace strop::tune::gp
