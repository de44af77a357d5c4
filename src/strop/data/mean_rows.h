#pragma once

#include <cmath>
#include <utility>

#include "strop/data/scores.h"

namespace strop::data {

// The mean of one number a row, or its square root.
class MeanOfRows final : public RowMetric {
 public:
  MeanOfRows(std::vector<double> values, bool root) : values_(std::move(values)), root_(root) {}
  double Value(std::span<const uint32_t> counts) const override {
    double sum = 0, rows = 0;
    for (size_t row = 0; row < values_.size(); ++row) {
      sum += values_[row] * counts[row];
      rows += counts[row];
    }
    return root_ ? std::sqrt(sum / rows) : sum / rows;
  }

 private:
  std::vector<double> values_;
  bool root_;
};

}  // namespace strop::data
