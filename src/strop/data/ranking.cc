#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/scores.h"

namespace strop::data {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

// Rows by falling score, with the positives marked; rows of equal score form one step of the curve.
class RankedRows {
 public:
  RankedRows(const std::vector<double>& scores, std::vector<uint8_t> positive)
      : order_(scores.size()), last_of_step_(scores.size()), positive_(std::move(positive)) {
    std::iota(order_.begin(), order_.end(), 0u);
    std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
    for (size_t i = 0; i < order_.size(); ++i) {
      last_of_step_[i] = i + 1 == order_.size() || scores[order_[i]] != scores[order_[i + 1]];
    }
  }
  // step(positives, negatives) of each step, from the highest score down.
  template <class Step>
  void ForEachStep(std::span<const uint32_t> counts, Step step) const {
    double positives = 0, negatives = 0;
    for (size_t i = 0; i < order_.size(); ++i) {
      (positive_[order_[i]] ? positives : negatives) += counts[order_[i]];
      if (last_of_step_[i]) {
        step(positives, negatives);
        positives = negatives = 0;
      }
    }
  }

 private:
  std::vector<uint32_t> order_;
  std::vector<uint8_t> last_of_step_;
  std::vector<uint8_t> positive_;
};

// The share of pairs of a positive and a negative row that are ranked right; ties count half.
double RocAuc(const RankedRows& rows, std::span<const uint32_t> counts) {
  double above = 0, negatives_total = 0, pairs = 0;
  rows.ForEachStep(counts, [&](double positives, double negatives) {
    pairs += negatives * (above + positives / 2);
    above += positives;
    negatives_total += negatives;
  });
  return above > 0 && negatives_total > 0 ? pairs / (above * negatives_total) : kUndefined;
}

// Precision at each step, weighted by the recall that it adds.
double AveragePrecision(const RankedRows& rows, std::span<const uint32_t> counts) {
  double found = 0, seen = 0, sum = 0;
  rows.ForEachStep(counts, [&](double positives, double negatives) {
    found += positives;
    seen += positives + negatives;
    if (seen > 0) sum += positives * found / seen;
  });
  return found > 0 ? sum / found : kUndefined;
}

// The mean over one-versus-rest rankings; two classes are one ranking.
class Ranking final : public RowMetric {
 public:
  using Curve = double (*)(const RankedRows&, std::span<const uint32_t>);

  Ranking(const Tensor& predictions, const Tensor& labels, Curve curve) : curve_(curve) {
    Scores scores = ReadScores(predictions, labels);
    scores.integers = false;
    const auto classes = ReadClasses(labels, scores);
    const auto add = [&](const std::vector<double>& column, int64_t positive) {
      std::vector<uint8_t> marks(classes.size());
      for (size_t row = 0; row < marks.size(); ++row) marks[row] = classes[row] == positive;
      rankings_.emplace_back(column, std::move(marks));
    };
    std::vector<double> column(classes.size());
    if (scores.classes == 1) {
      add(scores.values, 1);
    } else if (scores.classes == 2) {
      for (size_t row = 0; row < column.size(); ++row)
        column[row] = scores.values[2 * row + 1] - scores.values[2 * row];
      add(column, 1);
    } else {
      const Scores probabilities = Probabilities(scores);
      for (int64_t c = 0; c < scores.classes; ++c) {
        for (int64_t row = 0; row < scores.rows; ++row)
          column[static_cast<size_t>(row)] = probabilities.Row(row)[static_cast<size_t>(c)];
        add(column, c);
      }
    }
    const std::vector<uint32_t> once(classes.size(), 1);
    for (size_t i = 0; i < rankings_.size(); ++i) {
      if (const double value = curve_(rankings_[i], once); value != value) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("a ranking of class {} needs rows with and without it among the {} labels",
                                rankings_.size() == 1 ? 1 : i, classes.size()));
      }
    }
  }
  double Value(std::span<const uint32_t> counts) const override {
    double sum = 0;
    for (const auto& ranking : rankings_) sum += curve_(ranking, counts);
    return sum / static_cast<double>(rankings_.size());
  }

 private:
  Curve curve_;
  std::vector<RankedRows> rankings_;
};

}  // namespace

std::unique_ptr<RowMetric> MakeRocAuc(const Tensor& predictions, const Tensor& labels) {
  return std::make_unique<Ranking>(predictions, labels, RocAuc);
}

std::unique_ptr<RowMetric> MakeAveragePrecision(const Tensor& predictions, const Tensor& labels) {
  return std::make_unique<Ranking>(predictions, labels, AveragePrecision);
}

}  // namespace strop::data
