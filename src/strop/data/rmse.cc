#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/mean_rows.h"

namespace strop::data {

std::unique_ptr<RowMetric> MakeRmse(const Tensor& predictions, const Tensor& labels) {
  const Scores scores = ReadScores(predictions, labels);
  if (scores.classes != 1) {
    throw Error(Code::kInvalidArgument,
                fmt::format("predictions {}: rmse takes one value a row", ShapeText(predictions.shape())));
  }
  std::vector<double> squares = ReadValues(labels);
  for (size_t row = 0; row < squares.size(); ++row) {
    const double error = scores.values[row] - squares[row];
    squares[row] = error * error;
  }
  return std::make_unique<MeanOfRows>(std::move(squares), /*root=*/true);
}

}  // namespace strop::data
