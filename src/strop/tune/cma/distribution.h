#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <Eigen/Core>

#include "strop/base/api.h"
#include "strop/base/rng.h"
#include "strop/tune/space.h"

namespace strop::tune::cma {

// What CMA-ES draws a generation from: of the numbers a normal distribution, of each choice its
// probabilities, both moved towards the better draws of a generation.
//
// Numbers: Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772, 2016, with negative weights; a
// margin keeps every whole number's neighbours within reach (Hamano, Saito, Nomura and Shirakawa, "CMA-ES
// with Margin", GECCO 2022). Choices: the natural gradient of their probabilities by the same weights, with a
// margin as well (after Hamano, Saito, Nomura, Uchida and Shirakawa, "CatCMA", GECCO 2024, but with a
// constant step).
class STROP_API Distribution {
 public:
  // Around the middle of the space, or around `mean`, which has a number a parameter; the population is
  // `factor` times the usual one.
  explicit Distribution(const Space& space, size_t factor = 1, std::span<const double> mean = {});

  // How many draws a generation has.
  size_t population() const noexcept { return population_; }
  // A draw, not settled; a number out of its range is at the end of it.
  std::vector<double> Sample(Rng& rng) const;
  // One generation on. `best_first` are population() draws, not settled: of inactive parameters they have
  // what was sampled.
  void Update(const std::vector<std::vector<double>>& best_first);
  // Whether the continuous numbers have come to rest.
  bool collapsed() const;

  // Of the draws of a generation, best first; those above 0 sum to 1.
  const Eigen::VectorXd& weights() const noexcept { return weights_; }
  const Eigen::VectorXd& mean() const noexcept { return mean_; }
  const std::vector<Eigen::VectorXd>& probabilities() const noexcept { return probabilities_; }

 private:
  void UpdateNumbers(const std::vector<std::vector<double>>& best_first);
  void UpdateChoices(const std::vector<std::vector<double>>& best_first);
  void Decompose();
  void KeepMargin();
  void KeepMargin(Eigen::Index number);
  double Deviation(Eigen::Index number) const;

  const Space* space_;
  std::vector<size_t> numbers_, choices_;
  size_t population_;
  Eigen::VectorXd weights_;
  double mass_ = 0;  // the effective number of draws with positive weights

  Eigen::VectorXd mean_, stretch_;  // stretch: what the margin widens a whole number's deviation by
  double step_;                     // sigma
  Eigen::MatrixXd covariance_, axes_;
  Eigen::VectorXd lengths_;  // square roots of the eigenvalues
  Eigen::VectorXd step_path_, path_;
  int generation_ = 0;

  std::vector<Eigen::VectorXd> probabilities_;  // a choice each
};

}  // namespace strop::tune::cma
