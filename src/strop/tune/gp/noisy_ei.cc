#include "strop/tune/gp/noisy_ei.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <Eigen/Cholesky>
#include <boost/math/distributions/normal.hpp>

#include "strop/tune/sobol.h"

namespace strop::tune::gp {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// The samples whose expected values are lowest, and the pending points: a column each.
MatrixXd DrawnPoints(const Gp& gp, const MatrixXd& pending) {
  const Samples& samples = gp.samples();
  VectorXd mean, deviation;
  gp.Predict(samples.points.transpose(), mean, deviation);
  std::vector<Index> order(static_cast<size_t>(mean.size()));
  std::iota(order.begin(), order.end(), 0);
  const auto kept = std::min<Index>(NoisyLogEi::kPromising, mean.size());
  std::partial_sort(order.begin(), order.begin() + kept, order.end(),
                    [&](Index a, Index b) { return mean[a] != mean[b] ? mean[a] < mean[b] : a < b; });
  MatrixXd points(samples.points.cols(), kept + pending.cols());
  for (Index i = 0; i < kept; ++i)
    points.col(i) = samples.points.row(order[static_cast<size_t>(i)]).transpose();
  points.rightCols(pending.cols()) = pending;
  return points;
}

VectorXd StandardNormal(uint64_t index, Index size, uint64_t seed) {
  const auto uniform = SobolPoint(index, static_cast<size_t>(size), seed);
  VectorXd normal(size);
  for (Index i = 0; i < size; ++i)
    normal[i] = quantile(boost::math::normal(), std::clamp(uniform[static_cast<size_t>(i)], 1e-9, 1 - 1e-9));
  return normal;
}

Samples WithPoints(const Samples& samples, const MatrixXd& points) {
  Samples more = samples;
  more.points.conservativeResize(samples.points.rows() + points.cols(), Eigen::NoChange);
  more.points.bottomRows(points.cols()) = points.transpose();
  more.outputs = VectorXd::Zero(more.points.rows());  // each draw has outputs of its own
  return more;
}

double LogMeanExp(const VectorXd& logs) {
  const double top = logs.maxCoeff();
  return top + std::log((logs.array() - top).exp().mean());
}

}  // namespace

NoisyLogEi::Drawn NoisyLogEi::Draw(const Gp& gp, const MatrixXd& pending, uint64_t seed) {
  Drawn drawn{DrawnPoints(gp, pending), {}};
  VectorXd mean;
  MatrixXd covariance;
  gp.PredictTogether(drawn.points, mean, covariance);
  covariance.diagonal().array() += 1e-8;
  const MatrixXd factor = Eigen::LLT<MatrixXd>(covariance).matrixL();
  drawn.values.resize(mean.size(), kDraws);
  for (Index s = 0; s < kDraws; ++s)
    drawn.values.col(s) = mean + factor * StandardNormal(static_cast<uint64_t>(s), mean.size(), seed);
  return drawn;
}

NoisyLogEi::NoisyLogEi(const Gp& gp, const Hyper& hyper, const MatrixXd& pending, uint64_t seed)
    : NoisyLogEi(gp, hyper, Draw(gp, pending, seed)) {}

NoisyLogEi::NoisyLogEi(const Gp& gp, const Hyper& hyper, const Drawn& drawn)
    : known_(WithPoints(gp.samples(), drawn.points), hyper, drawn.points.cols()),
      best_(drawn.values.colwise().minCoeff().transpose()) {
  const VectorXd& observed = gp.samples().outputs;
  MatrixXd outputs(observed.size() + drawn.values.rows(), drawn.values.cols());
  outputs << observed.replicate(1, drawn.values.cols()), drawn.values;
  alpha_ = known_.Solve(outputs);
}

VectorXd NoisyLogEi::At(const MatrixXd& queries) const {
  VectorXd deviation;
  const MatrixXd means = alpha_.transpose() * known_.CrossAt(queries, deviation);
  VectorXd values(queries.cols()), logs(best_.size());
  for (Index q = 0; q < values.size(); ++q) {
    for (Index s = 0; s < logs.size(); ++s)
      logs[s] = LogExpectedImprovement(means(s, q), deviation[q], best_[s]).value;
    values[q] = LogMeanExp(logs);
  }
  return values;
}

double NoisyLogEi::At(const VectorXd& x, VectorXd& gradient) const {
  const Gp::Parts parts = known_.PartsAt(x);
  const VectorXd means = alpha_.transpose() * parts.cross;
  VectorXd logs(means.size()), by_mean(means.size()), by_deviation(means.size());
  for (Index s = 0; s < logs.size(); ++s) {
    const LogImprovement log = LogExpectedImprovement(means[s], parts.deviation, best_[s]);
    logs[s] = log.value;
    by_mean[s] = log.by_mean;
    by_deviation[s] = log.by_deviation;
  }
  const double value = LogMeanExp(logs);
  // The mean's derivative weighs each draw by its share of the improvement.
  const VectorXd share = (logs.array() - value).exp() / static_cast<double>(logs.size());
  gradient = parts.cross_gradient.transpose() * (alpha_ * share.cwiseProduct(by_mean)) +
             share.dot(by_deviation) * parts.deviation_gradient;
  return value;
}

}  // namespace strop::tune::gp
