#include "strop/data/scores.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::data {
namespace {

bool IsFloat(DType dtype) { return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16; }

std::vector<double> Doubles(const Tensor& tensor, const char* what) {
  const Tensor cast = tensor.dtype() == DType::kF64 ? tensor : tensor.Cast(DType::kF64);
  const auto values = cast.As<double>();
  const auto nan = std::find_if(values.begin(), values.end(), [](double value) { return std::isnan(value); });
  if (nan != values.end()) {
    const int64_t row_size = tensor.size() / tensor.shape()[0];
    throw Error(Code::kInvalidArgument,
                fmt::format("{} hold NaN in row {}", what, (nan - values.begin()) / row_size));
  }
  return {values.begin(), values.end()};
}

}  // namespace

Scores ReadScores(const Tensor& predictions, const Tensor& labels) {
  const Shape& shape = predictions.shape();
  if (shape.empty() || shape.size() > 2 || labels.shape().empty() || shape[0] != labels.shape()[0] ||
      shape[0] == 0 || (shape.size() == 2 && shape[1] == 0)) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format(
            "predictions {} and labels {}: expected [rows] or [rows, classes] for as many rows, at least one",
            ShapeText(shape), ShapeText(labels.shape())));
  }
  Scores scores;
  scores.rows = shape[0];
  scores.classes = shape.size() == 2 ? shape[1] : 1;
  scores.integers = scores.classes == 1 && !IsFloat(predictions.dtype());
  scores.values = Doubles(predictions, "predictions");
  return scores;
}

std::vector<double> ReadValues(const Tensor& labels) {
  const Shape& shape = labels.shape();
  if (shape.size() != 1 && !(shape.size() == 2 && shape[1] == 1)) {
    throw Error(Code::kInvalidArgument, fmt::format("labels {}: expected [rows]", ShapeText(shape)));
  }
  return Doubles(labels, "labels");
}

std::vector<int64_t> ReadClasses(const Tensor& labels, const Scores& scores) {
  const auto values = ReadValues(labels);
  std::vector<int64_t> classes(values.size());
  const int64_t count = scores.integers ? 0 : std::max<int64_t>(2, scores.classes);
  for (size_t row = 0; row < values.size(); ++row) {
    if (values[row] != std::floor(values[row]) ||
        (count > 0 && (values[row] < 0 || values[row] >= static_cast<double>(count)))) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("the label of row {} is {}: expected a class number{}", row, values[row],
                              count > 0 ? fmt::format(" from 0 to {}", count - 1) : ""));
    }
    classes[row] = static_cast<int64_t>(values[row]);
  }
  return classes;
}

std::vector<int64_t> PredictedClasses(const Scores& scores) {
  std::vector<int64_t> classes(static_cast<size_t>(scores.rows));
  // One score a row is a probability unless some row shows that it cannot be.
  const bool probabilities = std::all_of(scores.values.begin(), scores.values.end(),
                                         [](double value) { return value >= 0 && value <= 1; });
  for (int64_t row = 0; row < scores.rows; ++row) {
    const auto values = scores.Row(row);
    auto& predicted = classes[static_cast<size_t>(row)];
    if (scores.integers) {
      predicted = static_cast<int64_t>(values[0]);
    } else if (scores.classes == 1) {
      predicted = values[0] > (probabilities ? 0.5 : 0.0) ? 1 : 0;
    } else {
      predicted = std::max_element(values.begin(), values.end()) - values.begin();
    }
  }
  return classes;
}

Scores Probabilities(const Scores& scores) {
  Scores result = scores;
  bool already = true;
  for (int64_t row = 0; row < scores.rows && already; ++row) {
    double sum = 0;
    for (const double value : scores.Row(row)) {
      already = already && value >= 0;
      sum += value;
    }
    already = already && std::abs(sum - 1) < 1e-3;
  }
  if (already) return result;
  for (int64_t row = 0; row < scores.rows; ++row) {
    double* const values = result.values.data() + row * scores.classes;
    const double top = *std::max_element(values, values + scores.classes);
    double sum = 0;
    for (int64_t i = 0; i < scores.classes; ++i) sum += values[i] = std::exp(values[i] - top);
    for (int64_t i = 0; i < scores.classes; ++i) values[i] /= sum;
  }
  return result;
}

}  // namespace strop::data
