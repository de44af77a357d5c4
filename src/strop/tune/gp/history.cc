#include "strop/tune/gp/history.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "strop/tune/ranking.h"

namespace strop::tune::gp {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kBeyond = 0.1;  // of a front's range

}  // namespace

std::vector<size_t> BestToWorst(const Question& question) {
  std::vector<size_t> order = BestFirst(question.finished);
  for (size_t i = 0; i < question.finished.size(); ++i)
    if (question.finished[i].losses.empty()) order.push_back(i);
  return order;
}

VectorXd LossesOf(const Question& question, const std::vector<size_t>& chosen, size_t objective) {
  VectorXd losses(static_cast<Eigen::Index>(chosen.size()));
  double worst = -std::numeric_limits<double>::infinity();
  for (const Observation& trial : question.finished)
    if (!trial.losses.empty()) worst = std::max(worst, trial.losses[objective]);
  for (size_t i = 0; i < chosen.size(); ++i) {
    const std::vector<double>& told = question.finished[chosen[i]].losses;
    losses[static_cast<Eigen::Index>(i)] = told.empty() ? worst : told[objective];
  }
  return losses;
}

std::vector<double> ReferencePoint(tune::Losses front, tune::Losses all) {
  std::vector<double> reference;
  for (size_t k = 0; k < front[0].size(); ++k) {
    const auto less = [k](const std::vector<double>& a, const std::vector<double>& b) { return a[k] < b[k]; };
    const tune::Losses rows = front.size() > 1 ? front : all;
    const auto [low, high] = std::minmax_element(rows.begin(), rows.end(), less);
    reference.push_back((*high)[k] + std::max(kBeyond * ((*high)[k] - (*low)[k]), 1e-6));
  }
  return reference;
}

std::vector<size_t> Limited(const std::vector<size_t>& order) {
  const size_t n = order.size();
  std::vector<size_t> kept(order.begin(), order.end());
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
