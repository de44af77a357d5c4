#include "strop/tune/gp/lbfgs.h"

#include <cmath>
#include <deque>

namespace strop::tune::gp {
namespace {

using Eigen::VectorXd;

struct Pair {
  VectorXd step, change;
  double rho;
};

// Variables at a bound that the gradient pushes outwards stay where they are.
Eigen::ArrayXd FreeMask(const VectorXd& x, const VectorXd& gradient, const VectorXd& low,
                        const VectorXd& high) {
  Eigen::ArrayXd mask(x.size());
  for (Eigen::Index i = 0; i < x.size(); ++i)
    mask[i] = (x[i] <= low[i] && gradient[i] > 0) || (x[i] >= high[i] && gradient[i] < 0) ? 0 : 1;
  return mask;
}

VectorXd Direction(const VectorXd& gradient, const Eigen::ArrayXd& mask, const std::deque<Pair>& pairs) {
  VectorXd q = (gradient.array() * mask).matrix();
  std::vector<double> alpha(pairs.size());
  for (size_t i = pairs.size(); i-- > 0;) {
    alpha[i] = pairs[i].rho * pairs[i].step.dot(q);
    q -= alpha[i] * pairs[i].change;
  }
  if (!pairs.empty()) q /= pairs.back().rho * pairs.back().change.squaredNorm();
  for (size_t i = 0; i < pairs.size(); ++i)
    q += (alpha[i] - pairs[i].rho * pairs[i].change.dot(q)) * pairs[i].step;
  return -(q.array() * mask).matrix();
}

}  // namespace

LbfgsResult MinimizeLbfgs(const Objective& objective, const VectorXd& start, const VectorXd& low,
                          const VectorXd& high, const LbfgsOptions& options) {
  LbfgsResult best;
  best.x = start.cwiseMax(low).cwiseMin(high);
  VectorXd gradient(start.size()), next_gradient(start.size());
  best.value = objective(best.x, gradient);
  best.evaluations = 1;
  if (!std::isfinite(best.value)) return best;
  std::deque<Pair> pairs;
  while (best.evaluations < options.max_evaluations) {
    const Eigen::ArrayXd mask = FreeMask(best.x, gradient, low, high);
    if ((gradient.array() * mask).abs().maxCoeff() < options.gradient_tolerance) break;
    VectorXd direction = Direction(gradient, mask, pairs);
    double slope = gradient.dot(direction);
    if (!(slope < 0)) {
      pairs.clear();
      direction = -(gradient.array() * mask).matrix();
      slope = gradient.dot(direction);
    }
    // Without curvature the scale is unknown: the first step moves by at most a tenth of a unit.
    double length = pairs.empty() ? std::min(1.0, 0.1 / direction.cwiseAbs().maxCoeff()) : 1.0;
    bool moved = false;
    while (best.evaluations < options.max_evaluations && length > 1e-10) {
      const VectorXd x = (best.x + length * direction).cwiseMax(low).cwiseMin(high);
      const VectorXd step = x - best.x;
      const double value = objective(x, next_gradient);
      ++best.evaluations;
      if (std::isfinite(value) && value <= best.value + 1e-4 * gradient.dot(step)) {
        const VectorXd change = next_gradient - gradient;
        const double curvature = step.dot(change);
        if (curvature > 1e-12 * change.norm() * step.norm()) {
          pairs.push_back({step, change, 1 / curvature});
          if (pairs.size() > static_cast<size_t>(options.memory)) pairs.pop_front();
        }
        moved = best.value - value > options.value_tolerance * (1 + std::abs(value));
        best.x = x;
        best.value = value;
        gradient = next_gradient;
        break;
      }
      // The minimum of the parabola through both values and the slope, kept within a tenth and a half.
      double shrink = 0.25;
      if (std::isfinite(value)) {
        const double rise = value - best.value - length * slope;
        if (rise > 0) shrink = std::clamp(-length * slope / (2 * rise), 0.1, 0.5);
      }
      length *= shrink;
    }
    if (!moved) break;
  }
  return best;
}

}  // namespace strop::tune::gp
