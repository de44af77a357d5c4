#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/data/interval.h"

namespace strop::data {

// A difference of two models on the same rows, "candidate minus baseline", positive when the candidate is
// better whatever the metric's direction.
struct STROP_API PairedResult {
  double baseline = 0;   // the metric's value
  double candidate = 0;  // the metric's value
  double gain = 0;
  Interval interval;  // 95%, of the gain
  int64_t rows = 0;
};

// How good predictions are: one object for tuning, compression, watching and guardrails. Stateless and thread
// safe. predictions: [rows, classes] scores (logits or probabilities), or [rows] (or [rows, 1]): class
// numbers if integers, otherwise the score of class 1 (accuracy and f1 decide at probability 0.5) or, for
// rmse, the value. labels: [rows] class numbers or, for rmse, values; ndcg also takes [rows, classes]
// relevances. auc is the area under the ROC curve, pr_auc the average precision; both average one-versus-rest
// over classes beyond two (scores that are not probabilities go through softmax first). Definitions agree
// with scikit-learn's.
class STROP_API QualityMetric {
 public:
  // accuracy, f1 (macro), auc, pr_auc, ndcg@k, rmse. Throws kInvalidArgument that lists the names.
  static std::unique_ptr<QualityMetric> Make(const std::string& name);
  virtual ~QualityMetric();

  virtual const std::string& name() const noexcept = 0;
  virtual bool higher_is_better() const noexcept = 0;
  // Throws kInvalidArgument when shapes do not agree.
  virtual double Value(const Tensor& predictions, const Tensor& labels) const = 0;
  // 95% interval of the paired difference. Accuracy: Tango's score interval for paired proportions (Tango,
  // Statistics in Medicine 17, 1998). Others: paired bootstrap over rows, 2000 resamples keyed by `seed`.
  virtual PairedResult Compare(const Tensor& baseline, const Tensor& candidate, const Tensor& labels,
                               uint64_t seed = 0) const = 0;
};

}  // namespace strop::data
