#include "strop/tune/gp/history.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "strop/base/rng.h"

namespace strop::tune::gp {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr uint64_t kWeightStream = 0x9a7e60;
constexpr double kAugment = 0.05;  // Knowles' rho

// Uniform on the simplex.
std::vector<double> DrawWeights(const Question& question) {
  Rng rng(MixSeed(question.seed, kWeightStream), static_cast<uint64_t>(question.trial));
  std::vector<double> weights(question.objectives);
  for (double& weight : weights) weight = -std::log(1 - rng.Uniform());
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
  return weights;
}

// Objectives in units of the range that they were seen in.
struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  double Unit(double x) const { return high > low ? (x - low) / (high - low) : 0; }
};

double Chebyshev(const std::vector<double>& losses, const std::vector<Range>& ranges,
                 const std::vector<double>& weights) {
  double most = 0, sum = 0;
  for (size_t i = 0; i < losses.size(); ++i) {
    const double weighed = weights[i] * ranges[i].Unit(losses[i]);
    most = std::max(most, weighed);
    sum += weighed;
  }
  return most + kAugment * sum;
}

std::vector<Range> Ranges(const Question& question) {
  std::vector<Range> ranges(question.objectives);
  for (const Observation& trial : question.finished)
    for (size_t i = 0; i < trial.losses.size(); ++i) {
      ranges[i].low = std::min(ranges[i].low, trial.losses[i]);
      ranges[i].high = std::max(ranges[i].high, trial.losses[i]);
    }
  return ranges;
}

}  // namespace

std::vector<double> Losses(const Question& question) {
  const bool several = question.objectives > 1;
  const std::vector<double> weights = several ? DrawWeights(question) : std::vector<double>();
  const std::vector<Range> ranges = several ? Ranges(question) : std::vector<Range>();
  std::vector<double> losses;
  double worst = -std::numeric_limits<double>::infinity();
  for (const Observation& trial : question.finished) {
    losses.push_back(trial.losses.empty() ? std::nan("")
                     : several            ? Chebyshev(trial.losses, ranges, weights)
                                          : trial.losses[0]);
    if (!std::isnan(losses.back())) worst = std::max(worst, losses.back());
  }
  for (double& loss : losses)
    if (std::isnan(loss)) loss = worst;
  return losses;
}

std::vector<size_t> Ascending(const std::vector<double>& losses) {
  std::vector<size_t> order(losses.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return losses[a] < losses[b]; });
  return order;
}

std::vector<size_t> Limited(const std::vector<size_t>& ascending) {
  const size_t n = ascending.size();
  std::vector<size_t> kept(ascending.begin(), ascending.end());
  if (n > kMaxSamples) {
    const size_t latest = n - kMaxSamples / 2;
    std::stable_partition(kept.begin(), kept.end(), [&](size_t i) { return i >= latest; });
    kept.resize(kMaxSamples);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

Samples PointsOf(const Question& question, const std::vector<size_t>& chosen) {
  const Space& space = question.space;
  MatrixXd points(static_cast<Eigen::Index>(space.dimensions()), static_cast<Eigen::Index>(chosen.size()));
  for (Eigen::Index i = 0; i < points.cols(); ++i)
    space.ToPoint(question.finished[chosen[static_cast<size_t>(i)]].draw,
                  {points.col(i).data(), space.dimensions()});
  Samples samples;
  samples.points = points.transpose();
  samples.groups = static_cast<int>(space.size());
  for (size_t p = 0; p < space.size(); ++p)
    samples.group.insert(samples.group.end(), space.width(p), static_cast<int>(p));
  return samples;
}

MatrixXd PendingPoints(const Question& question) {
  MatrixXd points(static_cast<Eigen::Index>(question.space.dimensions()),
                  static_cast<Eigen::Index>(question.pending.size()));
  for (Eigen::Index i = 0; i < points.cols(); ++i)
    question.space.ToPoint(question.pending[static_cast<size_t>(i)].draw,
                           {points.col(i).data(), question.space.dimensions()});
  return points;
}

}  // namespace strop::tune::gp
