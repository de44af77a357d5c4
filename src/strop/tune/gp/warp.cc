#include "strop/tune/gp/warp.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <boost/math/distributions/normal.hpp>

namespace strop::tune::gp {

Eigen::VectorXd WarpOutputs(const Eigen::VectorXd& outputs) {
  const Eigen::Index n = outputs.size();
  Eigen::VectorXd warped = outputs;
  std::vector<double> sorted(outputs.begin(), outputs.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t half = (sorted.size() + 1) / 2;
  const double median = sorted[half - 1];
  double width = 0;
  for (size_t i = 0; i < half; ++i) width += (sorted[i] - median) * (sorted[i] - median);
  width = std::sqrt(width / static_cast<double>(half));
  if (width > 0) {
    for (double& y : warped) {
      if (y <= median) continue;
      const auto equal = std::equal_range(sorted.begin(), sorted.end(), y);
      const auto rank =
          0.5 * static_cast<double>((equal.first - sorted.begin()) + (equal.second - sorted.begin()));
      y = median + width * quantile(boost::math::normal(), std::max(0.5, rank / static_cast<double>(n)));
    }
  }
  const double mean = warped.mean();
  warped.array() -= mean;
  const double deviation = std::sqrt(warped.squaredNorm() / static_cast<double>(n));
  if (deviation > 0) warped /= deviation;
  return warped;
}

}  // namespace strop::tune::gp
