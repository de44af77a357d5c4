#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "strop/base/api.h"

namespace strop::tune {

// What a tree learns from: a column a coordinate, a row a trial. A coordinate is a number of [0, 1), or a
// choice, whose entries are the indices of its values.
struct TreeData {
  std::vector<int64_t> choices;              // how many values each coordinate has; 0: a number
  std::vector<std::vector<double>> columns;  // one a coordinate, of a row's entry each; finite
  std::vector<double> targets;               // one a row, finite

  size_t coordinates() const noexcept { return choices.size(); }
  size_t rows() const noexcept { return targets.size(); }
};

// How the variance of a function over the box splits up, where every coordinate is uniform and independent.
struct STROP_API Variance {
  double total = 0;
  std::vector<double> main;  // by coordinate: of the mean over all others
};

// A regression tree over the box of such coordinates, grown greedily by squared error (Breiman, Friedman,
// Olshen and Stone, "Classification and Regression Trees", 1984), numbers split by a threshold, choices into
// two sets of values; a function that is constant on each leaf's box. Thread safe.
class STROP_API RegressionTree {
 public:
  // At least one row. `rows` may name a row many times.
  RegressionTree(const TreeData& data, std::span<const uint32_t> rows);

  // One entry a coordinate.
  double Predict(std::span<const double> point) const noexcept;
  // Exact, from the boxes of the leaves (Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing
  // Hyperparameter Importance", ICML 2014, algorithm 2).
  Variance Decompose() const;

 private:
  friend class TreeGrower;
  friend class BoxWalk;
  struct Node {
    double value = 0;            // a leaf's: the mean of its targets
    double threshold = 0;        // of a number: below it is left
    size_t coordinate = 0;       // what is split
    size_t set = 0;              // of a choice: left are the values v where in_left_[set + v]
    size_t left = 0, right = 0;  // children; 0: a leaf
  };
  bool GoesLeft(const Node& node, double entry) const noexcept;

  std::vector<int64_t> choices_;
  std::vector<Node> nodes_;  // the root first
  std::vector<bool> in_left_;
};

}  // namespace strop::tune
