#pragma once

#include <cstdint>

#include <Eigen/Core>

#include "strop/base/api.h"
#include "strop/tune/gp/acquisition.h"

namespace strop::tune::gp {

// The log expected improvement over a best value that is itself uncertain, by Monte Carlo: under noise no
// observation is the function's value, and trials that run elsewhere have none yet. Values of the function at
// the most promising trials and at the running ones are drawn together from the process; given each draw the
// improvement at a point is closed-form (Letham, Karrer, Ottoni and Bakshy, "Constrained Bayesian
// Optimization with Noisy Experiments", 2019), and the logarithm of its mean is answered (Ament et al.,
// 2023). Asked for one point after another, with those suggested so far among `pending`, it is the sequential
// greedy qLogNEI.
class STROP_API NoisyLogEi : public Acquisition {
 public:
  static constexpr int kDraws = 64;      // quasi-random, keyed by seed
  static constexpr int kPromising = 16;  // trials of the lowest expected values

  // `pending`: a column a point.
  NoisyLogEi(const Gp& gp, const Hyper& hyper, const Eigen::MatrixXd& pending, uint64_t seed);
  Eigen::VectorXd At(const Eigen::MatrixXd& queries) const override;
  double At(const Eigen::VectorXd& x, Eigen::VectorXd& gradient) const override;

 private:
  // The values drawn at `points`, a column a draw.
  struct Drawn {
    Eigen::MatrixXd points, values;
  };
  static Drawn Draw(const Gp& gp, const Eigen::MatrixXd& pending, uint64_t seed);
  NoisyLogEi(const Gp& gp, const Hyper& hyper, const Drawn& drawn);

  Gp known_;               // of the samples and, without noise, the drawn points
  Eigen::MatrixXd alpha_;  // K⁻¹ outputs, a column a draw
  Eigen::VectorXd best_;   // one a draw
};

}  // namespace strop::tune::gp
