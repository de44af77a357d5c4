#pragma once

#include <vector>

#include <Eigen/Core>

#include "strop/base/api.h"

namespace strop::tune::gp {

// What a fit decides, in logarithms. Coordinates of one choice share a lengthscale: `group` says which one a
// coordinate uses.
struct STROP_API Hyper {
  Eigen::VectorXd log_lengthscale;  // one a group, in units of the point's coordinates
  double log_signal = 0;            // variance of the function
  double log_noise = -4;            // variance of the observations around it

  Eigen::VectorXd ToVector() const;
  static Hyper FromVector(const Eigen::VectorXd& v);
};

// Matérn kernel of smoothness 5/2 with one lengthscale a group (Rasmussen and Williams, "Gaussian Processes
// for Machine Learning", 2006, equation 4.17): s2 (1 + √5 r + 5/3 r²) exp(-√5 r), r² = Σ d²/l².
class STROP_API Matern52 {
 public:
  Matern52(std::vector<int> group, const Hyper& hyper);

  double operator()(const Eigen::VectorXd& a, const Eigen::VectorXd& b) const;
  // Covariance of every row of `points` with the columns of `queries`: [points, queries].
  Eigen::MatrixXd Cross(const Eigen::MatrixXd& points, const Eigen::MatrixXd& queries) const;
  // Covariance of every row of `points` with x, and its derivative by x: [points, dimensions].
  void CrossWithGradient(const Eigen::MatrixXd& points, const Eigen::VectorXd& x, Eigen::VectorXd& k,
                         Eigen::MatrixXd& gradient) const;
  double signal() const noexcept { return signal_; }

 private:
  Eigen::VectorXd inverse_square_;  // 1/l², one a coordinate
  double signal_;
};

// Squared distances by group of all pairs (i, j < i) of rows of `points`, in the order (1,0) (2,0) (2,1)
// (3,0) …: what the likelihood needs at every setting of the hyperparameters. [n (n - 1) / 2, groups].
Eigen::MatrixXd PairDistances(const Eigen::MatrixXd& points, const std::vector<int>& group, int groups);

// From r², elementwise and for a signal variance of 1: the kernel k, and the c of dk/dlog l_g = c d_g²/l_g².
void Matern52FromSquares(const Eigen::ArrayXd& r2, Eigen::ArrayXd& k, Eigen::ArrayXd& c);

}  // namespace strop::tune::gp
