#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "strop/base/tensor.h"

namespace strop::data {

// Predictions as doubles.
struct Scores {
  int64_t rows = 0;
  int64_t classes = 1;    // 1 for [rows]
  bool integers = false;  // [rows] of integers: class numbers
  std::vector<double> values;
  std::span<const double> Row(int64_t row) const {
    return {values.data() + row * classes, static_cast<size_t>(classes)};
  }
};

// Throw kInvalidArgument naming shape and row: rows that do not match, NaN, a class number out of range.
Scores ReadScores(const Tensor& predictions, const Tensor& labels);
std::vector<double> ReadValues(const Tensor& labels);                          // [rows]
std::vector<int64_t> ReadClasses(const Tensor& labels, const Scores& scores);  // whole numbers
// The class that each row is predicted to be.
std::vector<int64_t> PredictedClasses(const Scores& scores);
// Per row the probability of each class: softmax unless the rows are probabilities already.
Scores Probabilities(const Scores& scores);

// A metric made ready for one pair of predictions and labels, and then valued for many resamples: counts says
// how often each row occurs. NaN when it is undefined for them (one class only, say).
class RowMetric {
 public:
  virtual ~RowMetric() = default;
  virtual double Value(std::span<const uint32_t> counts) const = 0;
};

std::unique_ptr<RowMetric> MakeAccuracy(const Tensor& predictions, const Tensor& labels);
std::unique_ptr<RowMetric> MakeMacroF1(const Tensor& predictions, const Tensor& labels);
std::unique_ptr<RowMetric> MakeRocAuc(const Tensor& predictions, const Tensor& labels);
std::unique_ptr<RowMetric> MakeAveragePrecision(const Tensor& predictions, const Tensor& labels);
std::unique_ptr<RowMetric> MakeNdcg(const Tensor& predictions, const Tensor& labels, int64_t k);
std::unique_ptr<RowMetric> MakeRmse(const Tensor& predictions, const Tensor& labels);

// Whether each row is predicted right.
std::vector<uint8_t> RightRows(const Tensor& predictions, const Tensor& labels);

}  // namespace strop::data
