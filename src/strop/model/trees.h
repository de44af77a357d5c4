#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/model/graph.h"

namespace strop::model {

// What operators of ai.onnx.ml make of the scores of a row, their attribute post_transform. SOFTMAX_ZERO
// leaves zeros.
enum class ScoreTransform : uint8_t { kNone, kLogistic, kSoftmax, kSoftmaxZero };
// Throws kUnsupported naming the node for another, PROBIT among them.
STROP_API ScoreTransform ParseTransform(const Node& node, const std::string& text);
STROP_API void Apply(ScoreTransform transform, std::span<double> scores);

// The trees of a TreeEnsembleRegressor, TreeEnsembleClassifier or TreeEnsemble node (ai.onnx.ml), checked:
// children come after their parent, and every path ends in a leaf.
struct STROP_API TreeEnsemble {
  enum class Mode : uint8_t { kLessEqual, kLess, kGreaterEqual, kGreater, kEqual, kNotEqual, kLeaf };
  enum class Aggregate : uint8_t { kSum, kAverage, kMin, kMax };

  struct Split {
    Mode mode = Mode::kLeaf;
    bool nan_is_yes = false;
    int64_t feature = 0;
    double threshold = 0;
    // Of an inner node the child where x[feature] `mode` threshold, and the other; of a leaf its votes
    // [yes, no).
    int32_t yes = 0, no = 0;
  };
  struct Vote {
    int32_t target = 0;
    double weight = 0;
  };

  std::vector<int32_t> roots;
  std::vector<Split> splits;
  std::vector<Vote> votes;
  int64_t targets = 1;   // scores of a row
  int64_t features = 0;  // columns of x that are needed
  Aggregate aggregate = Aggregate::kSum;
  ScoreTransform transform = ScoreTransform::kNone;
  std::vector<double> base_values;  // one a target, or none
  // Of a classifier, one a target.
  std::vector<int64_t> labels;
  bool one_class = false;  // of two classes only one is voted for: `class_voted`
  int32_t class_voted = 0;
  bool all_positive = false;  // no weight is below 0

  bool classifier() const noexcept { return !labels.empty(); }
};

STROP_API bool IsTreeEnsemble(const Node& node) noexcept;

// Throws kInvalidArgument naming the node for trees that do not hold together; kUnsupported for what the
// specification leaves open (below), labels that are strings and the membership mode.
STROP_API TreeEnsemble ReadTrees(const Node& node);

// The leaf that a row ends in; T is the element type of the input.
template <class T>
int32_t LeafOf(const TreeEnsemble& trees, int32_t root, const T* row);

// From the aggregated votes of a row, `scores`, to what the node answers, in place, and a classifier's label
// (elsewhere 0). `voted`: which targets any leaf voted for. Of several classes the label is the first with
// the highest score. Where two classes have one that is voted for, the specification is silent, and this is
// as ONNX Runtime does: the score s is of the second class; it wins above 0, or above 0.5 when no weight is
// negative; the scores are (-s, s), (1 - s, s) or, under LOGISTIC, the logistic function of (-s, s).
STROP_API int64_t FinishScores(const TreeEnsemble& trees, std::span<double> scores,
                               std::span<const uint8_t> voted);

template <class T>
int32_t LeafOf(const TreeEnsemble& trees, int32_t root, const T* row) {
  using Mode = TreeEnsemble::Mode;
  int32_t at = root;
  for (;;) {
    const TreeEnsemble::Split& split = trees.splits[static_cast<size_t>(at)];
    if (split.mode == Mode::kLeaf) return at;
    const auto x = static_cast<double>(row[split.feature]);
    bool yes = false;
    switch (split.mode) {
      case Mode::kLessEqual:
        yes = x <= split.threshold;
        break;
      case Mode::kLess:
        yes = x < split.threshold;
        break;
      case Mode::kGreaterEqual:
        yes = x >= split.threshold;
        break;
      case Mode::kGreater:
        yes = x > split.threshold;
        break;
      case Mode::kEqual:
        yes = x == split.threshold;
        break;
      case Mode::kNotEqual:
        yes = x != split.threshold;
        break;
      case Mode::kLeaf:
        break;
    }
    if (x != x && split.nan_is_yes) yes = true;
    at = yes ? split.yes : split.no;
  }
}

}  // namespace strop::model
