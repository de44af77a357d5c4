#include "strop/tune/gp/hypervolume_gain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace strop::tune::gp {
namespace {

using Eigen::VectorXd;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Of the first `objectives` of rows and reference. Cuts the last of them into slabs at the rows: within one,
// the rows below it dominate as they do in the objectives that are left.
std::vector<Box> Boxes(std::vector<std::vector<double>> rows, const std::vector<double>& reference,
                       size_t objectives) {
  const size_t last = objectives - 1;
  std::sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) { return a[last] < b[last]; });
  if (last == 0) {
    const double high = rows.empty() ? reference[0] : std::min(rows[0][0], reference[0]);
    return {{{-kInfinity}, {high}}};
  }
  std::vector<Box> boxes;
  double low = -kInfinity;
  for (size_t k = 0; k <= rows.size(); ++k) {
    const double high = k < rows.size() ? std::min(rows[k][last], reference[last]) : reference[last];
    if (high <= low) continue;
    const std::vector<std::vector<double>> below(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(k));
    for (Box& box : Boxes(below, reference, last)) {
      box.low.push_back(low);
      box.high.push_back(high);
      boxes.push_back(std::move(box));
    }
    low = high;
  }
  return boxes;
}

// log(exp(high) - exp(low)) and its derivatives; the improvement below the lower edge is the smaller one.
LogImprovement Difference(const LogImprovement& high, const LogImprovement& low) {
  const double share = std::exp(low.value - high.value), rest = 1 - share;
  if (!(rest > 1e-12)) return {-kInfinity, 0, 0};
  return {high.value + Log1mExp(low.value - high.value), (high.by_mean - share * low.by_mean) / rest,
          (high.by_deviation - share * low.by_deviation) / rest};
}

}  // namespace

std::vector<Box> NonDominatedBoxes(Losses front, const std::vector<double>& reference) {
  return Boxes({front.begin(), front.end()}, reference, reference.size());
}

HypervolumeGain::HypervolumeGain(std::vector<Gp> objectives, Losses front,
                                 const std::vector<double>& reference)
    : objectives_(std::move(objectives)), edges_(reference.size()) {
  const std::vector<Box> boxes = NonDominatedBoxes(front, reference);
  for (size_t k = 0; k < edges_.size(); ++k) {
    std::vector<double>& edges = edges_[k];
    for (const Box& box : boxes) {
      if (box.low[k] != -kInfinity) edges.push_back(box.low[k]);
      edges.push_back(box.high[k]);
    }
    std::sort(edges.begin(), edges.end());
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  }
  for (const Box& box : boxes) {
    std::vector<Side>& sides = boxes_.emplace_back();
    for (size_t k = 0; k < edges_.size(); ++k) {
      const auto place = [&](double edge) {
        return static_cast<int>(std::lower_bound(edges_[k].begin(), edges_[k].end(), edge) -
                                edges_[k].begin());
      };
      sides.push_back({box.low[k] == -kInfinity ? kNone : place(box.low[k]), place(box.high[k])});
    }
  }
}

HypervolumeGain::Improvements HypervolumeGain::Below(size_t objective, double mean, double deviation) const {
  Improvements below;
  below.reserve(edges_[objective].size());
  for (double edge : edges_[objective]) below.push_back(LogExpectedImprovement(mean, deviation, edge));
  return below;
}

double HypervolumeGain::Gain(const std::vector<Improvements>& below,
                             std::vector<LogImprovement>* by_objective) const {
  const size_t objectives = below.size();
  double top = -kInfinity, sum = 0;
  std::vector<LogImprovement> slopes(objectives, LogImprovement{0, 0, 0}), terms(objectives);
  for (const std::vector<Side>& box : boxes_) {
    double log = 0;
    for (size_t k = 0; k < objectives; ++k) {
      const LogImprovement& high = below[k][static_cast<size_t>(box[k].high)];
      terms[k] = box[k].low == kNone ? high : Difference(high, below[k][static_cast<size_t>(box[k].low)]);
      log += terms[k].value;
    }
    if (log == -kInfinity) continue;
    // Sums are kept in units of the largest term so far.
    if (log > top) {
      const double shrink = std::exp(top - log);
      sum *= shrink;
      for (LogImprovement& slope : slopes) slope = {0, slope.by_mean * shrink, slope.by_deviation * shrink};
      top = log;
    }
    const double share = std::exp(log - top);
    sum += share;
    for (size_t k = 0; by_objective && k < objectives; ++k) {
      slopes[k].by_mean += share * terms[k].by_mean;
      slopes[k].by_deviation += share * terms[k].by_deviation;
    }
  }
  if (by_objective) {
    for (LogImprovement& slope : slopes) slope = {0, slope.by_mean / sum, slope.by_deviation / sum};
    *by_objective = std::move(slopes);
  }
  return top + std::log(sum);
}

VectorXd HypervolumeGain::At(const Eigen::MatrixXd& queries) const {
  const size_t objectives = objectives_.size();
  std::vector<VectorXd> means(objectives), deviations(objectives);
  for (size_t k = 0; k < objectives; ++k) objectives_[k].Predict(queries, means[k], deviations[k]);
  VectorXd gains(queries.cols());
  std::vector<Improvements> below(objectives);
  for (Eigen::Index i = 0; i < gains.size(); ++i) {
    for (size_t k = 0; k < objectives; ++k) below[k] = Below(k, means[k][i], deviations[k][i]);
    gains[i] = Gain(below, nullptr);
  }
  return gains;
}

double HypervolumeGain::At(const VectorXd& x, VectorXd& gradient) const {
  const size_t objectives = objectives_.size();
  std::vector<Gp::Point> points;
  std::vector<Improvements> below(objectives);
  for (size_t k = 0; k < objectives; ++k) {
    points.push_back(objectives_[k].PredictWithGradient(x));
    below[k] = Below(k, points[k].mean, points[k].deviation);
  }
  std::vector<LogImprovement> slopes;
  const double gain = Gain(below, &slopes);
  gradient = VectorXd::Zero(x.size());
  for (size_t k = 0; k < objectives; ++k)
    gradient +=
        slopes[k].by_mean * points[k].mean_gradient + slopes[k].by_deviation * points[k].deviation_gradient;
  return gain;
}

}  // namespace strop::tune::gp
