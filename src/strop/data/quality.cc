#include "strop/data/quality.h"

#include <charconv>
#include <functional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/bootstrap.h"
#include "strop/data/scores.h"

namespace strop::data {
namespace {

using Prepare = std::function<std::unique_ptr<RowMetric>(const Tensor& predictions, const Tensor& labels)>;

class PreparedMetric : public QualityMetric {
 public:
  PreparedMetric(std::string name, bool higher_is_better, Prepare prepare)
      : name_(std::move(name)), higher_is_better_(higher_is_better), prepare_(std::move(prepare)) {}

  const std::string& name() const noexcept override { return name_; }
  bool higher_is_better() const noexcept override { return higher_is_better_; }

  double Value(const Tensor& predictions, const Tensor& labels) const override {
    const auto metric = prepare_(predictions, labels);
    return metric->Value(std::vector<uint32_t>(static_cast<size_t>(labels.shape()[0]), 1));
  }

  PairedResult Compare(const Tensor& baseline, const Tensor& candidate, const Tensor& labels,
                       uint64_t seed) const override {
    const auto old_metric = prepare_(baseline, labels);
    const auto new_metric = prepare_(candidate, labels);
    PairedResult result;
    result.rows = labels.shape()[0];
    const std::vector<uint32_t> once(static_cast<size_t>(result.rows), 1);
    result.baseline = old_metric->Value(once);
    result.candidate = new_metric->Value(once);
    result.gain = result.candidate - result.baseline;
    result.interval = PairedBootstrap(*old_metric, *new_metric, result.rows, seed);
    if (!higher_is_better_) {
      result.gain = -result.gain;
      result.interval = {-result.interval.high, -result.interval.low};
    }
    return result;
  }

 private:
  std::string name_;
  bool higher_is_better_;
  Prepare prepare_;
};

class AccuracyMetric final : public PreparedMetric {
 public:
  AccuracyMetric() : PreparedMetric("accuracy", true, MakeAccuracy) {}

  PairedResult Compare(const Tensor& baseline, const Tensor& candidate, const Tensor& labels,
                       uint64_t) const override {
    const auto old_right = RightRows(baseline, labels);
    const auto new_right = RightRows(candidate, labels);
    int64_t gained = 0, lost = 0, right = 0;
    for (size_t row = 0; row < old_right.size(); ++row) {
      gained += new_right[row] && !old_right[row];
      lost += old_right[row] && !new_right[row];
      right += old_right[row];
    }
    PairedResult result;
    result.rows = labels.shape()[0];
    const auto rows = static_cast<double>(result.rows);
    result.baseline = static_cast<double>(right) / rows;
    result.candidate = static_cast<double>(right + gained - lost) / rows;
    result.gain = static_cast<double>(gained - lost) / rows;
    result.interval = TangoInterval(static_cast<double>(gained), static_cast<double>(lost), rows);
    return result;
  }
};

}  // namespace

QualityMetric::~QualityMetric() = default;

std::unique_ptr<QualityMetric> QualityMetric::Make(const std::string& name) {
  if (name == "accuracy") return std::make_unique<AccuracyMetric>();
  if (name == "f1") return std::make_unique<PreparedMetric>(name, true, MakeMacroF1);
  if (name == "auc") return std::make_unique<PreparedMetric>(name, true, MakeRocAuc);
  if (name == "pr_auc") return std::make_unique<PreparedMetric>(name, true, MakeAveragePrecision);
  if (name == "rmse") return std::make_unique<PreparedMetric>(name, false, MakeRmse);
  if (name.starts_with("ndcg@")) {
    int64_t k = 0;
    const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), k);
    if (error == std::errc() && end == name.data() + name.size() && k > 0) {
      return std::make_unique<PreparedMetric>(
          name, true,
          [k](const Tensor& predictions, const Tensor& labels) { return MakeNdcg(predictions, labels, k); });
    }
  }
  throw Error(
      Code::kInvalidArgument,
      fmt::format("metric \"{}\": expected accuracy, f1, auc, pr_auc, ndcg@K (as in ndcg@10) or rmse", name));
}

}  // namespace strop::data
