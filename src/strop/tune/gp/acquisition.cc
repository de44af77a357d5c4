#include "strop/tune/gp/acquisition.h"

#include <cmath>

namespace strop::tune::gp {
namespace {

const double kHalfLog2Pi = 0.5 * std::log(2 * M_PI);
const double kHalfLogHalfPi = 0.5 * std::log(M_PI / 2);

double Density(double z) { return std::exp(-0.5 * z * z - kHalfLog2Pi); }
double Distribution(double z) { return 0.5 * std::erfc(-z * M_SQRT1_2); }

// log(exp(x²) erfc(x)) for x > 0: by its parts while erfc is a normal number, then by its asymptotic series.
double LogScaledErfc(double x) {
  if (x < 20) return x * x + std::log(std::erfc(x));
  const double y = 0.5 / (x * x);
  return -std::log(x) - 0.5 * std::log(M_PI) + std::log1p(-y * (1 - 3 * y * (1 - 5 * y)));
}

// log(1 - exp(x)) for x < 0 (Mächler, "Accurately computing log(1 - exp(-|a|))", 2012).
double Log1mExp(double x) { return x > -M_LN2 ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x)); }

// log(φ(z) + z Φ(z)), equation 9 of Ament et al.; past -1000 the bracket is 1/z² to five digits.
double LogH(double z) {
  if (z > -1) return std::log(Density(z) + z * Distribution(z));
  const double tail =
      z > -1e3 ? Log1mExp(LogScaledErfc(-z * M_SQRT1_2) + std::log(-z) + kHalfLogHalfPi) : -2 * std::log(-z);
  return -0.5 * z * z - kHalfLog2Pi + tail;
}

}  // namespace

double ExpectedImprovement(double mean, double deviation, double best) noexcept {
  const double z = (best - mean) / deviation;
  return deviation * (Density(z) + z * Distribution(z));
}

LogImprovement LogExpectedImprovement(double mean, double deviation, double best) noexcept {
  const double z = (best - mean) / deviation;
  const double log_h = LogH(z);
  // φ/h and Φ/h; in the tail the second follows from the first: h = φ + z Φ.
  const double density = std::exp(-0.5 * z * z - kHalfLog2Pi - log_h);
  const double distribution = z > -1 ? Distribution(z) / std::exp(log_h) : (1 - density) / z;
  return {std::log(deviation) + log_h, -distribution / deviation, density / deviation};
}

LogProbability LogNormalDistribution(double z) noexcept {
  const double value =
      z > -1 ? std::log(Distribution(z)) : LogScaledErfc(-z * M_SQRT1_2) - 0.5 * z * z - M_LN2;
  return {value, std::exp(-0.5 * z * z - kHalfLog2Pi - value)};
}

Acquisition::~Acquisition() = default;

double LogEi::At(const Eigen::VectorXd& x, Eigen::VectorXd& gradient) const {
  const Gp::Point point = gp_.PredictWithGradient(x);
  const LogImprovement log = LogExpectedImprovement(point.mean, point.deviation, best_);
  gradient = log.by_mean * point.mean_gradient + log.by_deviation * point.deviation_gradient;
  return log.value;
}

Eigen::VectorXd LogEi::At(const Eigen::MatrixXd& queries) const {
  Eigen::VectorXd mean, deviation;
  gp_.Predict(queries, mean, deviation);
  for (Eigen::Index i = 0; i < mean.size(); ++i)
    mean[i] = LogExpectedImprovement(mean[i], deviation[i], best_).value;
  return mean;
}

double ConfidenceBound::At(const Eigen::VectorXd& x, Eigen::VectorXd& gradient) const {
  const Gp::Point point = gp_.PredictWithGradient(x);
  gradient = beta_ * point.deviation_gradient - point.mean_gradient;
  return beta_ * point.deviation - point.mean;
}

Eigen::VectorXd ConfidenceBound::At(const Eigen::MatrixXd& queries) const {
  Eigen::VectorXd mean, deviation;
  gp_.Predict(queries, mean, deviation);
  return beta_ * deviation - mean;
}

double FeasibleGain::At(const Eigen::VectorXd& x, Eigen::VectorXd& gradient) const {
  double value = 0;
  if (gain_)
    value = gain_->At(x, gradient);
  else
    gradient.setZero(x.size());
  for (const Limit& limit : limits_) {
    const Gp::Point point = limit.gp.PredictWithGradient(x);
    const double z = (limit.at - point.mean) / point.deviation;
    const LogProbability log = LogNormalDistribution(z);
    value += log.value;
    gradient -= log.by_z / point.deviation * (point.mean_gradient + z * point.deviation_gradient);
  }
  return value;
}

Eigen::VectorXd FeasibleGain::At(const Eigen::MatrixXd& queries) const {
  Eigen::VectorXd values = gain_ ? gain_->At(queries) : Eigen::VectorXd::Zero(queries.cols()).eval();
  for (const Limit& limit : limits_) {
    Eigen::VectorXd mean, deviation;
    limit.gp.Predict(queries, mean, deviation);
    for (Eigen::Index i = 0; i < values.size(); ++i)
      values[i] += LogNormalDistribution((limit.at - mean[i]) / deviation[i]).value;
  }
  return values;
}

}  // namespace strop::tune::gp
