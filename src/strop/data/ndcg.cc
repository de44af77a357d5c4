#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/mean_rows.h"

namespace strop::data {
namespace {

// Discounted cumulative gain of the first k, the gain of equal scores shared among them (McSherry and Najork,
// "Computing information retrieval performance measures efficiently in the presence of tied scores", ECIR
// 2008).
double Dcg(const std::vector<double>& relevance, std::span<const double> scores,
           const std::vector<double>& discount) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  double sum = 0;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    double gain = 0, discounts = 0;
    for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end) {
      gain += relevance[order[end]];
      discounts += discount[end];
    }
    sum += gain / static_cast<double>(end - begin) * discounts;
  }
  return sum;
}

}  // namespace

std::unique_ptr<RowMetric> MakeNdcg(const Tensor& predictions, const Tensor& labels, int64_t k) {
  const Scores scores = ReadScores(predictions, labels);
  if (scores.classes < 2) {
    throw Error(Code::kInvalidArgument,
                fmt::format("predictions {}: ndcg ranks the scores of a row, so it takes [rows, "
                            "classes]",
                            ShapeText(predictions.shape())));
  }
  const bool graded = labels.shape() == predictions.shape();
  const auto grades = graded ? ReadScores(labels, labels).values : std::vector<double>();
  const auto classes = graded ? std::vector<int64_t>() : ReadClasses(labels, scores);
  std::vector<double> discount(static_cast<size_t>(scores.classes));
  for (size_t i = 0; i < discount.size(); ++i) {
    discount[i] = static_cast<int64_t>(i) < k ? 1 / std::log2(static_cast<double>(i) + 2) : 0;
  }
  std::vector<double> values(static_cast<size_t>(scores.rows));
  std::vector<double> relevance(static_cast<size_t>(scores.classes));
  for (int64_t row = 0; row < scores.rows; ++row) {
    for (int64_t c = 0; c < scores.classes; ++c) {
      relevance[static_cast<size_t>(c)] = graded
                                              ? grades[static_cast<size_t>(row * scores.classes + c)]
                                              : static_cast<double>(classes[static_cast<size_t>(row)] == c);
      if (relevance[static_cast<size_t>(c)] < 0) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("labels hold the relevance {} in row {}: expected 0 or more",
                                relevance[static_cast<size_t>(c)], row));
      }
    }
    const double ideal = Dcg(relevance, relevance, discount);
    values[static_cast<size_t>(row)] = ideal > 0 ? Dcg(relevance, scores.Row(row), discount) / ideal : 0;
  }
  return std::make_unique<MeanOfRows>(std::move(values), /*root=*/false);
}

}  // namespace strop::data
