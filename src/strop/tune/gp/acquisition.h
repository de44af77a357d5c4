#pragma once

#include <vector>

#include <Eigen/Core>

#include "strop/base/api.h"
#include "strop/tune/gp/gp.h"

namespace strop::tune::gp {

// How much lower than `best` a value drawn from N(mean, deviation²) is expected to lie, never counting a rise
// (Jones, Schonlau and Welch, "Efficient Global Optimization of Expensive Black-Box Functions", 1998):
// σ (φ(z) + z Φ(z)), z = (best - mean) / σ. deviation > 0.
STROP_API double ExpectedImprovement(double mean, double deviation, double best) noexcept;

// Its logarithm and the logarithm's derivatives, accurate where the improvement itself underflows, which is
// where a search for its maximum starts (Ament et al., "Unexpected Improvements to Expected Improvement for
// Bayesian Optimization", NeurIPS 2023).
struct LogImprovement {
  double value, by_mean, by_deviation;
};
STROP_API LogImprovement LogExpectedImprovement(double mean, double deviation, double best) noexcept;

// log Φ(z), the logarithm of the standard normal's distribution, and its derivative.
struct LogProbability {
  double value, by_z;
};
STROP_API LogProbability LogNormalDistribution(double z) noexcept;

// What a search maximises over points. Thread safe.
class STROP_API Acquisition {
 public:
  virtual ~Acquisition();
  // At the columns of `queries`.
  virtual Eigen::VectorXd At(const Eigen::MatrixXd& queries) const = 0;
  // At a point, with its gradient.
  virtual double At(const Eigen::VectorXd& x, Eigen::VectorXd& gradient) const = 0;
};

// The log expected improvement of a process over `best`.
class STROP_API LogEi : public Acquisition {
 public:
  LogEi(const Gp& gp, double best) : gp_(gp), best_(best) {}
  Eigen::VectorXd At(const Eigen::MatrixXd& queries) const override;
  double At(const Eigen::VectorXd& x, Eigen::VectorXd& gradient) const override;

 private:
  const Gp& gp_;
  double best_;
};

// The negated lower confidence bound, -(mean - beta deviation) (Srinivas, Krause, Kakade and Seeger,
// "Gaussian Process Optimization in the Bandit Setting", 2010).
class STROP_API ConfidenceBound : public Acquisition {
 public:
  ConfidenceBound(const Gp& gp, double beta) : gp_(gp), beta_(beta) {}
  Eigen::VectorXd At(const Eigen::MatrixXd& queries) const override;
  double At(const Eigen::VectorXd& x, Eigen::VectorXd& gradient) const override;

 private:
  const Gp& gp_;
  double beta_;
};

// The log probability that every process, each of an outcome constraint, lies at or below its limit (Gardner
// et al., "Bayesian Optimization with Inequality Constraints", ICML 2014); plus `gain`, unless null.
class STROP_API FeasibleGain : public Acquisition {
 public:
  struct Limit {
    Gp gp;
    double at;  // in the process's units
  };
  FeasibleGain(std::vector<Limit> limits, const Acquisition* gain)
      : limits_(std::move(limits)), gain_(gain) {}
  Eigen::VectorXd At(const Eigen::MatrixXd& queries) const override;
  double At(const Eigen::VectorXd& x, Eigen::VectorXd& gradient) const override;

 private:
  std::vector<Limit> limits_;
  const Acquisition* gain_;
};

}  // namespace strop::tune::gp
