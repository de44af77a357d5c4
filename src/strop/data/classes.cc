#include <algorithm>
#include <limits>
#include <utility>

#include "strop/data/scores.h"

namespace strop::data {
namespace {

class Accuracy final : public RowMetric {
 public:
  explicit Accuracy(std::vector<uint8_t> right) : right_(std::move(right)) {}
  double Value(std::span<const uint32_t> counts) const override {
    double right = 0, rows = 0;
    for (size_t row = 0; row < right_.size(); ++row) {
      right += right_[row] ? counts[row] : 0;
      rows += counts[row];
    }
    return right / rows;
  }

 private:
  std::vector<uint8_t> right_;
};

// The mean over classes, seen or predicted, of the harmonic mean of precision and recall.
class MacroF1 final : public RowMetric {
 public:
  MacroF1(const std::vector<int64_t>& predicted, const std::vector<int64_t>& labels) {
    std::vector<int64_t> names = predicted;
    names.insert(names.end(), labels.begin(), labels.end());
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    classes_ = names.size();
    const auto index = [&](int64_t name) {
      return static_cast<uint32_t>(std::lower_bound(names.begin(), names.end(), name) - names.begin());
    };
    for (size_t row = 0; row < labels.size(); ++row)
      rows_.emplace_back(index(predicted[row]), index(labels[row]));
  }
  double Value(std::span<const uint32_t> counts) const override {
    std::vector<double> right(classes_), wrong(classes_);  // wrong: false positives and false negatives
    for (size_t row = 0; row < rows_.size(); ++row) {
      const auto [predicted, label] = rows_[row];
      if (predicted == label) {
        right[label] += counts[row];
      } else {
        wrong[predicted] += counts[row];
        wrong[label] += counts[row];
      }
    }
    double sum = 0, present = 0;
    for (size_t i = 0; i < classes_; ++i) {
      if (right[i] + wrong[i] == 0) continue;
      sum += 2 * right[i] / (2 * right[i] + wrong[i]);
      present += 1;
    }
    return present > 0 ? sum / present : std::numeric_limits<double>::quiet_NaN();
  }

 private:
  size_t classes_ = 0;
  std::vector<std::pair<uint32_t, uint32_t>> rows_;
};

}  // namespace

std::vector<uint8_t> RightRows(const Tensor& predictions, const Tensor& labels) {
  const Scores scores = ReadScores(predictions, labels);
  const auto classes = ReadClasses(labels, scores);
  const auto predicted = PredictedClasses(scores);
  std::vector<uint8_t> right(classes.size());
  for (size_t row = 0; row < right.size(); ++row) right[row] = predicted[row] == classes[row];
  return right;
}

std::unique_ptr<RowMetric> MakeAccuracy(const Tensor& predictions, const Tensor& labels) {
  return std::make_unique<Accuracy>(RightRows(predictions, labels));
}

std::unique_ptr<RowMetric> MakeMacroF1(const Tensor& predictions, const Tensor& labels) {
  const Scores scores = ReadScores(predictions, labels);
  const auto classes = ReadClasses(labels, scores);
  return std::make_unique<MacroF1>(PredictedClasses(scores), classes);
}

}  // namespace strop::data
