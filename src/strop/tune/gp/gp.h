#pragma once

#include <cstdint>
#include <vector>

#include <Eigen/Core>

#include "strop/base/api.h"
#include "strop/tune/gp/kernel.h"

namespace strop::tune::gp {

// Observations in a surrogate's terms: rows of `points` in [0, 1]^d, outputs standardised, lower is better.
struct STROP_API Samples {
  Eigen::MatrixXd points;
  Eigen::VectorXd outputs;
  std::vector<int> group;  // one a coordinate: which lengthscale it uses
  int groups = 0;
};

// Prior of the hyperparameters. Lengthscales are log-normal around a multiple of √groups (Hvarfner, Hellsten
// and Nardi, "Vanilla Bayesian Optimization Performs Great in High Dimensions", ICML 2024; Xu et al., ICLR
// 2025): the function is taken to be simpler the more parameters there are. Their multiple, e^√2 with a
// deviation of √3, makes studies of tens of trials settle too early: on Hartmann6 after 50 trials a fifth of
// twenty seeds stayed above -1.7; with these numbers, and the sampler's doubt, 57 of 60 came below -2.8.
// Means and deviations are of the logarithms.
struct STROP_API Prior {
  double lengthscale_mean, lengthscale_deviation = 1;
  double signal_mean = 0, signal_deviation = 1;
  double noise_mean = -6, noise_deviation = 1.5;

  explicit Prior(int groups);
  Hyper Mode(int groups) const;
};

// Log marginal likelihood plus log prior, up to a constant, and its gradient by Hyper::ToVector() (Rasmussen
// and Williams, 2006, equations 2.30 and 5.9). Not a number where the covariance is not positive definite.
class STROP_API LogPosterior {
 public:
  LogPosterior(const Samples& samples, const Prior& prior);
  double operator()(const Eigen::VectorXd& hyper, Eigen::VectorXd& gradient) const;

 private:
  Eigen::MatrixXd distances_;
  Eigen::VectorXd outputs_;
  Prior prior_;
};

// The most probable hyperparameters, by L-BFGS from the prior's mode and from long lengthscales. Of more than
// kFitSamples samples it uses the best quarter and an even choice of the rest: the cost of a fit stays
// bounded, while predictions use all samples.
inline constexpr Eigen::Index kFitSamples = 160;
STROP_API Hyper FitHyper(const Samples& samples);

// The process conditioned on samples. Immutable; thread safe.
class STROP_API Gp {
 public:
  // The last `exact` samples are values of the function itself, the others observations of it with noise.
  Gp(Samples samples, const Hyper& hyper, Eigen::Index exact = 0);

  // Of the function without noise, at the columns of `queries`.
  void Predict(const Eigen::MatrixXd& queries, Eigen::VectorXd& mean, Eigen::VectorXd& deviation) const;
  void PredictTogether(const Eigen::MatrixXd& queries, Eigen::VectorXd& mean,
                       Eigen::MatrixXd& covariance) const;

  struct Point {
    double mean, deviation;
    Eigen::VectorXd mean_gradient, deviation_gradient;
  };
  Point PredictWithGradient(const Eigen::VectorXd& x) const;

  // What predictions are made of: the covariance with every sample and its derivative by x, [samples] and
  // [samples, dimensions], and the deviation with its gradient. The mean is cross · Solve(outputs).
  struct Parts {
    Eigen::VectorXd cross;
    Eigen::MatrixXd cross_gradient;
    double deviation;
    Eigen::VectorXd deviation_gradient;
  };
  Parts PartsAt(const Eigen::VectorXd& x) const;
  // [samples, queries] and the deviations.
  Eigen::MatrixXd CrossAt(const Eigen::MatrixXd& queries, Eigen::VectorXd& deviation) const;
  // K⁻¹ outputs: [samples, any].
  Eigen::MatrixXd Solve(const Eigen::MatrixXd& outputs) const;

  const Samples& samples() const noexcept { return samples_; }

 private:
  Samples samples_;
  Matern52 kernel_;
  Eigen::MatrixXd factor_;  // lower Cholesky factor
  Eigen::VectorXd alpha_;   // K⁻¹ y
};

}  // namespace strop::tune::gp
