#pragma once

#include <functional>

#include <Eigen/Core>

#include "strop/base/api.h"

namespace strop::tune::gp {

// The value of a smooth function at x, and its gradient.
using Objective = std::function<double(const Eigen::VectorXd& x, Eigen::VectorXd& gradient)>;

struct LbfgsOptions {
  int max_evaluations = 60;
  int memory = 8;
  double gradient_tolerance = 1e-5;  // largest component of the projected gradient
  double value_tolerance = 1e-9;     // relative decrease of one step
};

struct LbfgsResult {
  Eigen::VectorXd x;
  double value = 0;
  int evaluations = 0;
};

// Minimises inside the box low <= x <= high by limited-memory BFGS (Nocedal and Wright, "Numerical
// Optimization", 2006, algorithm 7.4) on the variables that do not press against a bound, with a projected
// backtracking search. The answer is never worse than the start. Where the objective answers a value that is
// not finite, it steps back.
STROP_API LbfgsResult MinimizeLbfgs(const Objective& objective, const Eigen::VectorXd& start,
                                    const Eigen::VectorXd& low, const Eigen::VectorXd& high,
                                    const LbfgsOptions& options = {});

}  // namespace strop::tune::gp
