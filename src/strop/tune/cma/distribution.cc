#include "strop/tune/cma/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <Eigen/Eigenvalues>
#include <unsupported/Eigen/SpecialFunctions>

namespace strop::tune::cma {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kFirstStep = 1.0 / 6;
constexpr double kMaxStep = 1;
constexpr double kRest = 1e-10;  // of a number's range: a deviation that changes nothing any more

size_t Population(size_t parameters) {
  return 4 + static_cast<size_t>(3 * std::log(std::max<double>(1, static_cast<double>(parameters))));
}

double Phi(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

double InversePhi(double p) { return Eigen::numext::ndtri(std::clamp(p, 1e-300, 1 - 1e-16)); }

// The learning rates of the tutorial's table 1.
struct Rates {
  double step, damping, path, one, mu;

  Rates(double n, double mass)
      : step((mass + 2) / (n + mass + 5)),
        damping(1 + 2 * std::max(0.0, std::sqrt((mass - 1) / (n + 1)) - 1) + step),
        path((4 + mass / n) / (n + 4 + 2 * mass / n)),
        one(2 / ((n + 1.3) * (n + 1.3) + mass)),
        mu(std::min(1 - one, 2 * (0.25 + mass + 1 / mass - 2) / ((n + 2) * (n + 2) + mass))) {}
};

// Weights that sum to 1 where they are positive; `mass` becomes the effective number of those.
VectorXd Weights(size_t population, double n, double& mass) {
  VectorXd weights(static_cast<Index>(population));
  for (Index i = 0; i < weights.size(); ++i)
    weights[i] = std::log((static_cast<double>(population) + 1) / 2) - std::log(static_cast<double>(i + 1));
  const VectorXd better = weights.cwiseMax(0), worse = (-weights).cwiseMax(0);
  mass = better.sum() * better.sum() / better.squaredNorm();
  const double worse_mass = worse.sum() * worse.sum() / worse.squaredNorm();
  const Rates rates(n, mass);
  const double limit = std::min({1 + rates.one / rates.mu, 1 + 2 * worse_mass / (mass + 2),
                                 (1 - rates.one - rates.mu) / (n * rates.mu)});
  return better / better.sum() - worse * (limit / worse.sum());
}

}  // namespace

Distribution::Distribution(const Space& space, size_t factor, std::span<const double> mean)
    : space_(&space), population_(factor * Population(space.size())), step_(kFirstStep) {
  for (size_t p = 0; p < space.size(); ++p) (space.IsChoice(p) ? choices_ : numbers_).push_back(p);
  const auto n = static_cast<Index>(numbers_.size());
  weights_ = Weights(population_, std::max<double>(1, static_cast<double>(n)), mass_);
  mean_ = VectorXd::Constant(n, 0.5);
  for (Index i = 0; i < n && !mean.empty(); ++i) mean_[i] = mean[numbers_[static_cast<size_t>(i)]];
  stretch_ = lengths_ = VectorXd::Ones(n);
  covariance_ = axes_ = MatrixXd::Identity(n, n);
  step_path_ = path_ = VectorXd::Zero(n);
  for (size_t p : choices_) {
    const auto values = static_cast<Index>(space.ValueCount(p));
    probabilities_.push_back(VectorXd::Constant(values, 1 / static_cast<double>(values)));
  }
  KeepMargin();
}

std::vector<double> Distribution::Sample(Rng& rng) const {
  std::vector<double> draw(space_->size());
  VectorXd normal(mean_.size());
  for (double& one : normal) one = rng.Normal();
  const VectorXd x = mean_ + step_ * stretch_.cwiseProduct(axes_ * lengths_.cwiseProduct(normal));
  for (Index i = 0; i < x.size(); ++i) draw[numbers_[static_cast<size_t>(i)]] = std::clamp(x[i], 0.0, 1.0);
  for (size_t c = 0; c < choices_.size(); ++c) {
    const VectorXd& probabilities = probabilities_[c];
    double rest = rng.Uniform();
    Index value = 0;
    while (value + 1 < probabilities.size() && rest >= probabilities[value]) rest -= probabilities[value++];
    draw[choices_[c]] = (static_cast<double>(value) + 0.5) / static_cast<double>(probabilities.size());
  }
  return draw;
}

void Distribution::Update(const std::vector<std::vector<double>>& best_first) {
  if (!numbers_.empty()) UpdateNumbers(best_first);
  UpdateChoices(best_first);
  ++generation_;
}

void Distribution::UpdateNumbers(const std::vector<std::vector<double>>& best_first) {
  const auto n = mean_.size();
  const auto size = static_cast<double>(n);
  const Rates rates(size, mass_);
  MatrixXd steps(n, static_cast<Index>(best_first.size()));
  for (Index k = 0; k < steps.cols(); ++k)
    for (Index i = 0; i < n; ++i)
      steps(i, k) = (best_first[static_cast<size_t>(k)][numbers_[static_cast<size_t>(i)]] - mean_[i]) /
                    (step_ * stretch_[i]);
  const MatrixXd whitened = lengths_.cwiseInverse().asDiagonal() * axes_.transpose() * steps;
  const VectorXd better = weights_.cwiseMax(0);

  mean_ += step_ * stretch_.cwiseProduct(steps * better);
  step_path_ = (1 - rates.step) * step_path_ +
               std::sqrt(rates.step * (2 - rates.step) * mass_) * (axes_ * (whitened * better));
  const double expected = std::sqrt(size) * (1 - 1 / (4 * size) + 1 / (21 * size * size));
  const double length = step_path_.norm() / expected;
  const bool moves =
      length / std::sqrt(1 - std::pow(1 - rates.step, 2 * (generation_ + 1))) < 1.4 + 2 / (size + 1);
  path_ *= 1 - rates.path;
  if (moves) path_ += std::sqrt(rates.path * (2 - rates.path) * mass_) * (steps * better);

  VectorXd weights = weights_;
  for (Index k = 0; k < weights.size(); ++k)
    if (weights[k] < 0) weights[k] *= size / std::max(whitened.col(k).squaredNorm(), 1e-12);
  const double lost = moves ? 0 : rates.one * rates.path * (2 - rates.path);
  covariance_ *= 1 + lost - rates.one - rates.mu * weights_.sum();
  covariance_ +=
      rates.one * path_ * path_.transpose() + rates.mu * steps * weights.asDiagonal() * steps.transpose();
  step_ = std::min(kMaxStep, step_ * std::exp(std::min(1.0, rates.step / rates.damping * (length - 1))));
  Decompose();
  KeepMargin();
}

void Distribution::Decompose() {
  covariance_ = ((covariance_ + covariance_.transpose()) / 2).eval();
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(covariance_);
  axes_ = solver.eigenvectors();
  const double least = std::max(1e-14 * solver.eigenvalues().maxCoeff(), 1e-300);
  lengths_ = solver.eigenvalues().cwiseMax(least).cwiseSqrt();
}

void Distribution::UpdateChoices(const std::vector<std::vector<double>>& best_first) {
  if (choices_.empty()) return;
  const auto count = static_cast<double>(choices_.size());
  const double rate = mass_ / (mass_ + count + 3);
  for (size_t c = 0; c < choices_.size(); ++c) {
    VectorXd& probabilities = probabilities_[c];
    VectorXd better = VectorXd::Zero(probabilities.size());
    for (size_t k = 0; k < best_first.size(); ++k)
      better[space_->IndexAt(choices_[c], best_first[k][choices_[c]])] +=
          std::max(0.0, weights_[static_cast<Index>(k)]);
    probabilities += rate * (better - probabilities);
    if (probabilities.size() == 1) continue;
    const double margin = 1 / (count * static_cast<double>(population_));
    probabilities = probabilities.cwiseMax(margin / static_cast<double>(probabilities.size() - 1));
    probabilities /= probabilities.sum();
  }
}

double Distribution::Deviation(Index number) const {
  return step_ * stretch_[number] * std::sqrt(covariance_(number, number));
}

void Distribution::KeepMargin() {
  for (Index i = 0; i < mean_.size(); ++i) {
    mean_[i] = std::clamp(mean_[i], 0.0, 1.0);
    if (space_->ValueCount(numbers_[static_cast<size_t>(i)]) > 1) KeepMargin(i);
  }
}

// So that the values below and above the mean's are drawn with at least half of `margin`, or the only
// neighbour with all of it.
void Distribution::KeepMargin(Index number) {
  const double margin = 1 / static_cast<double>(std::max<size_t>(numbers_.size(), 1) * population_);
  const auto [low, high] = space_->ShareAt(numbers_[static_cast<size_t>(number)], mean_[number]);
  double& mean = mean_[number];
  const double deviation = Deviation(number);
  const bool lowest = low <= 0, highest = high >= 1;
  if (lowest && highest) return;
  if (lowest || highest) {
    const double reach = -InversePhi(margin) * deviation;
    mean = lowest ? std::max(mean, high - reach) : std::min(mean, low + reach);
    return;
  }
  const double below = Phi((low - mean) / deviation), above = 1 - Phi((high - mean) / deviation);
  if (below >= margin / 2 && above >= margin / 2) return;
  double wanted_below = std::max(below, margin / 2), wanted_above = std::max(above, margin / 2);
  const double stay = 1 - below - above, excess = 1 - wanted_below - wanted_above - stay;
  const double spare = wanted_below + wanted_above + stay - 1.5 * margin;
  wanted_below += excess * (wanted_below - margin / 2) / spare;
  wanted_above += excess * (wanted_above - margin / 2) / spare;
  const double to_low = -InversePhi(wanted_below), to_high = -InversePhi(wanted_above);
  stretch_[number] *= (high - low) / (to_low + to_high) / deviation;
  mean = (low * to_high + high * to_low) / (to_low + to_high);
}

bool Distribution::collapsed() const {
  bool continuous = false;
  for (Index i = 0; i < mean_.size(); ++i) {
    if (space_->ValueCount(numbers_[static_cast<size_t>(i)]) > 0) continue;
    if (Deviation(i) > kRest) return false;
    continuous = true;
  }
  return continuous;
}

}  // namespace strop::tune::cma
