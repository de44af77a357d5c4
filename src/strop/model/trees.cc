#include "strop/model/trees.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/model/dims.h"

namespace strop::model {
namespace {

using Mode = TreeEnsemble::Mode;
using Key = std::pair<int64_t, int64_t>;  // tree, node

constexpr int64_t kMostFeatures = 1 << 24;

[[noreturn]] void Refuse(const Node& node, const std::string& message) {
  throw Error(Code::kUnsupported, fmt::format("node {} ({}): {}", node.name, node.op, message));
}

std::vector<double> TensorNumbers(const Node& node, const std::string& name) {
  const auto found = node.attributes.find(name);
  if (found == node.attributes.end()) return {};
  const auto* tensor = std::get_if<Tensor>(&found->second);
  if (!tensor) ThrowNode(node, fmt::format("the attribute {} is no tensor", name));
  const Tensor doubles = tensor->Cast(DType::kF64);
  const auto values = doubles.As<double>();
  return {values.begin(), values.end()};
}

// A list of floats, or of doubles by the attribute's name and _as_tensor.
std::vector<double> Numbers(const Node& node, const std::string& name) {
  const auto found = node.attributes.find(name);
  if (found == node.attributes.end()) return TensorNumbers(node, name + "_as_tensor");
  const auto* floats = std::get_if<std::vector<float>>(&found->second);
  if (!floats) ThrowNode(node, fmt::format("the attribute {} is no list of floats", name));
  return {floats->begin(), floats->end()};
}

std::vector<std::string> Texts(const Node& node, const std::string& name) {
  const auto found = node.attributes.find(name);
  if (found == node.attributes.end()) return {};
  const auto* texts = std::get_if<std::vector<std::string>>(&found->second);
  if (!texts) ThrowNode(node, fmt::format("the attribute {} is no list of strings", name));
  return *texts;
}

void CheckSize(const Node& node, const char* name, size_t size, size_t wanted) {
  if (size != wanted)
    ThrowNode(node, fmt::format("the attribute {} has {} elements, expected {}", name, size, wanted));
}

Mode ParseMode(const Node& node, std::string_view text) {
  constexpr std::pair<std::string_view, Mode> kModes[] = {{"BRANCH_LEQ", Mode::kLessEqual},
                                                          {"BRANCH_LT", Mode::kLess},
                                                          {"BRANCH_GTE", Mode::kGreaterEqual},
                                                          {"BRANCH_GT", Mode::kGreater},
                                                          {"BRANCH_EQ", Mode::kEqual},
                                                          {"BRANCH_NEQ", Mode::kNotEqual},
                                                          {"LEAF", Mode::kLeaf}};
  for (const auto& [name, mode] : kModes)
    if (text == name) return mode;
  Refuse(node, fmt::format("the mode {}", text));
}

TreeEnsemble::Aggregate ParseAggregate(const Node& node, std::string_view text) {
  if (text == "SUM") return TreeEnsemble::Aggregate::kSum;
  if (text == "AVERAGE") return TreeEnsemble::Aggregate::kAverage;
  if (text == "MIN") return TreeEnsemble::Aggregate::kMin;
  if (text == "MAX") return TreeEnsemble::Aggregate::kMax;
  Refuse(node, fmt::format("the aggregate_function {}", text));
}

// Inner nodes and leaves as the older operators list them: tuples over attributes nodes_… and PREFIX_….
class TupleReader {
 public:
  TupleReader(const Node& node, std::string prefix) : node_(node), prefix_(std::move(prefix)) {}

  void Read(TreeEnsemble& trees) {
    ReadNodes();
    ReadVotes(trees);
    // The first node of each tree is its root.
    std::set<int64_t> seen;
    for (size_t i = 0; i < ids_.size(); ++i)
      if (seen.insert(tree_ids_[i]).second) trees.roots.push_back(Emit(trees, i));
    if (trees.splits.size() > ids_.size()) ThrowNode(node_, "its nodes are no trees");
  }

 private:
  void ReadNodes() {
    tree_ids_ = node_.Ints("nodes_treeids");
    ids_ = node_.Ints("nodes_nodeids");
    features_ = node_.Ints("nodes_featureids");
    yes_ = node_.Ints("nodes_truenodeids");
    no_ = node_.Ints("nodes_falsenodeids");
    nan_is_yes_ = node_.Ints("nodes_missing_value_tracks_true");
    thresholds_ = Numbers(node_, "nodes_values");
    modes_ = Texts(node_, "nodes_modes");
    const size_t count = ids_.size();
    CheckSize(node_, "nodes_treeids", tree_ids_.size(), count);
    CheckSize(node_, "nodes_featureids", features_.size(), count);
    CheckSize(node_, "nodes_truenodeids", yes_.size(), count);
    CheckSize(node_, "nodes_falsenodeids", no_.size(), count);
    CheckSize(node_, "nodes_values", thresholds_.size(), count);
    CheckSize(node_, "nodes_modes", modes_.size(), count);
    if (!nan_is_yes_.empty()) CheckSize(node_, "nodes_missing_value_tracks_true", nan_is_yes_.size(), count);
    for (size_t i = 0; i < count; ++i)
      if (!place_.emplace(Key{tree_ids_[i], ids_[i]}, i).second)
        ThrowNode(node_, fmt::format("the node {} of tree {} is there twice", ids_[i], tree_ids_[i]));
  }

  void ReadVotes(const TreeEnsemble& trees) {
    const std::vector<int64_t> tree_ids = node_.Ints(prefix_ + "_treeids"),
                               ids = node_.Ints(prefix_ + "_nodeids"), targets = node_.Ints(prefix_ + "_ids");
    const std::vector<double> weights = Numbers(node_, prefix_ + "_weights");
    CheckSize(node_, (prefix_ + "_treeids").c_str(), tree_ids.size(), ids.size());
    CheckSize(node_, (prefix_ + "_ids").c_str(), targets.size(), ids.size());
    CheckSize(node_, (prefix_ + "_weights").c_str(), weights.size(), ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto place = place_.find({tree_ids[i], ids[i]});
      if (place == place_.end())
        ThrowNode(node_,
                  fmt::format("a weight is of node {} of tree {}, which is not there", ids[i], tree_ids[i]));
      if (targets[i] < 0 || targets[i] >= trees.targets)
        ThrowNode(node_, fmt::format("a weight is of target {}, of {}", targets[i], trees.targets));
      votes_[place->second].push_back({static_cast<int32_t>(targets[i]), weights[i]});
    }
  }

  // Appends the tree that hangs from tuple `top` and answers its root.
  int32_t Emit(TreeEnsemble& trees, size_t top) {
    const auto root = static_cast<int32_t>(trees.splits.size());
    std::vector<size_t> pending = {top};
    trees.splits.emplace_back();
    for (size_t at = 0; at < pending.size(); ++at) {
      if (trees.splits.size() > ids_.size()) ThrowNode(node_, "its nodes are no trees");
      const size_t i = pending[at];
      TreeEnsemble::Split split;
      split.mode = ParseMode(node_, modes_[i]);
      if (split.mode == Mode::kLeaf) {
        split.yes = static_cast<int32_t>(trees.votes.size());
        const std::vector<TreeEnsemble::Vote>& votes = votes_[i];
        trees.votes.insert(trees.votes.end(), votes.begin(), votes.end());
        split.no = static_cast<int32_t>(trees.votes.size());
      } else {
        split.feature = features_[i];
        split.threshold = thresholds_[i];
        split.nan_is_yes = !nan_is_yes_.empty() && nan_is_yes_[i] != 0;
        split.yes = Child(trees, pending, tree_ids_[i], yes_[i]);
        split.no = Child(trees, pending, tree_ids_[i], no_[i]);
      }
      trees.splits[static_cast<size_t>(root) + at] = split;
    }
    return root;
  }

  int32_t Child(TreeEnsemble& trees, std::vector<size_t>& pending, int64_t tree, int64_t id) {
    const auto place = place_.find({tree, id});
    if (place == place_.end()) ThrowNode(node_, fmt::format("tree {} has no node {}", tree, id));
    pending.push_back(place->second);
    trees.splits.emplace_back();
    return static_cast<int32_t>(trees.splits.size()) - 1;
  }

  const Node& node_;
  const std::string prefix_;
  std::vector<int64_t> tree_ids_, ids_, features_, yes_, no_, nan_is_yes_;
  std::vector<double> thresholds_;
  std::vector<std::string> modes_;
  std::map<Key, size_t> place_;
  std::map<size_t, std::vector<TreeEnsemble::Vote>> votes_;
};

// As TreeEnsemble (since ai.onnx.ml 5) lists them: inner nodes by position, leaves apart.
class ListReader {
 public:
  explicit ListReader(const Node& node)
      : node_(node),
        roots_(node.Ints("tree_roots")),
        features_(node.Ints("nodes_featureids")),
        yes_(node.Ints("nodes_truenodeids")),
        no_(node.Ints("nodes_falsenodeids")),
        yes_leaf_(node.Ints("nodes_trueleafs")),
        no_leaf_(node.Ints("nodes_falseleafs")),
        nan_is_yes_(node.Ints("nodes_missing_value_tracks_true")),
        targets_(node.Ints("leaf_targetids")),
        thresholds_(TensorNumbers(node, "nodes_splits")),
        modes_(TensorNumbers(node, "nodes_modes")),
        weights_(TensorNumbers(node, "leaf_weights")) {
    const size_t count = features_.size();
    CheckSize(node, "nodes_splits", thresholds_.size(), count);
    CheckSize(node, "nodes_modes", modes_.size(), count);
    CheckSize(node, "nodes_truenodeids", yes_.size(), count);
    CheckSize(node, "nodes_falsenodeids", no_.size(), count);
    CheckSize(node, "nodes_trueleafs", yes_leaf_.size(), count);
    CheckSize(node, "nodes_falseleafs", no_leaf_.size(), count);
    CheckSize(node, "leaf_weights", weights_.size(), targets_.size());
    if (!nan_is_yes_.empty()) CheckSize(node, "nodes_missing_value_tracks_true", nan_is_yes_.size(), count);
  }

  void Read(TreeEnsemble& trees) const {
    for (const int64_t top : roots_) {
      const auto root = trees.splits.size();
      trees.roots.push_back(static_cast<int32_t>(root));
      std::vector<Item> pending = {{top, false}};
      trees.splits.emplace_back();
      for (size_t at = 0; at < pending.size(); ++at) {
        // Trees have no node in common, so there are at most as many as are listed, and leaves below them.
        if (trees.splits.size() > 2 * features_.size() + roots_.size())
          ThrowNode(node_, "its nodes are no trees");
        const auto [id, leaf] = pending[at];
        const TreeEnsemble::Split split = leaf ? Leaf(id, trees) : Inner(id, trees, pending);
        trees.splits[root + at] = split;
      }
    }
  }

 private:
  struct Item {
    int64_t id;
    bool leaf;
  };

  size_t Place(int64_t id, size_t count, const char* what) const {
    if (id < 0 || id >= static_cast<int64_t>(count))
      ThrowNode(node_, fmt::format("there is no {} {}", what, id));
    return static_cast<size_t>(id);
  }

  TreeEnsemble::Split Leaf(int64_t id, TreeEnsemble& trees) const {
    const size_t i = Place(id, targets_.size(), "leaf");
    if (targets_[i] < 0 || targets_[i] >= trees.targets)
      ThrowNode(node_, fmt::format("a leaf is of target {}, of {}", targets_[i], trees.targets));
    TreeEnsemble::Split split;
    split.yes = static_cast<int32_t>(trees.votes.size());
    split.no = split.yes + 1;
    trees.votes.push_back({static_cast<int32_t>(targets_[i]), weights_[i]});
    return split;
  }

  TreeEnsemble::Split Inner(int64_t id, TreeEnsemble& trees, std::vector<Item>& pending) const {
    constexpr Mode kModes[] = {Mode::kLessEqual, Mode::kLess,  Mode::kGreaterEqual,
                               Mode::kGreater,   Mode::kEqual, Mode::kNotEqual};
    const size_t i = Place(id, features_.size(), "node");
    if (!(modes_[i] >= 0 && modes_[i] < static_cast<double>(std::size(kModes))))
      Refuse(node_, fmt::format("the mode {}", modes_[i]));
    TreeEnsemble::Split split;
    split.mode = kModes[static_cast<size_t>(modes_[i])];
    split.feature = features_[i];
    split.threshold = thresholds_[i];
    split.nan_is_yes = !nan_is_yes_.empty() && nan_is_yes_[i] != 0;
    split.yes = static_cast<int32_t>(trees.splits.size());
    split.no = split.yes + 1;
    pending.push_back({yes_[i], yes_leaf_[i] != 0});
    pending.push_back({no_[i], no_leaf_[i] != 0});
    trees.splits.resize(trees.splits.size() + 2);
    return split;
  }

  const Node& node_;
  const std::vector<int64_t> roots_, features_, yes_, no_, yes_leaf_, no_leaf_, nan_is_yes_, targets_;
  const std::vector<double> thresholds_, modes_, weights_;
};

void ReadClassifier(const Node& node, TreeEnsemble& trees) {
  if (node.attributes.contains("classlabels_strings")) Refuse(node, "labels that are strings");
  trees.labels = node.Ints("classlabels_int64s");
  if (trees.labels.size() < 2) Refuse(node, fmt::format("{} labels", trees.labels.size()));
  trees.targets = static_cast<int64_t>(trees.labels.size());
  trees.transform = ParseTransform(node, node.Text("post_transform", "NONE"));
  trees.base_values = Numbers(node, "base_values");
  TupleReader(node, "class").Read(trees);
  trees.all_positive = std::all_of(trees.votes.begin(), trees.votes.end(),
                                   [](const auto& vote) { return !(vote.weight < 0); });
  std::set<int32_t> voted;
  for (const TreeEnsemble::Vote& vote : trees.votes) voted.insert(vote.target);
  trees.one_class = trees.targets == 2 && voted.size() == 1;
  if (!trees.one_class) return;
  trees.class_voted = *voted.begin();
  const bool plain = trees.transform == ScoreTransform::kNone || trees.transform == ScoreTransform::kLogistic;
  if (!plain) Refuse(node, "the post_transform of two classes of which one is voted for");
  if (trees.base_values.size() > 1 || (trees.class_voted == 1 && !trees.base_values.empty()))
    Refuse(node, "the base_values of two classes of which one is voted for");
}

void ReadRegressor(const Node& node, TreeEnsemble& trees) {
  constexpr std::string_view kAggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  const std::string kTransforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  trees.targets = node.Int("n_targets", 1);
  if (trees.targets < 1 || trees.targets > kMostFeatures)
    ThrowNode(node, fmt::format("{} targets", trees.targets));
  if (node.op == "TreeEnsemble") {
    const int64_t aggregate = node.Int("aggregate_function", 1), transform = node.Int("post_transform", 0);
    if (aggregate < 0 || aggregate > 3) ThrowNode(node, fmt::format("the aggregate_function {}", aggregate));
    if (transform < 0 || transform > 4) ThrowNode(node, fmt::format("the post_transform {}", transform));
    trees.aggregate = ParseAggregate(node, kAggregates[aggregate]);
    trees.transform = ParseTransform(node, kTransforms[transform]);
    ListReader(node).Read(trees);
  } else {
    trees.aggregate = ParseAggregate(node, node.Text("aggregate_function", "SUM"));
    trees.transform = ParseTransform(node, node.Text("post_transform", "NONE"));
    trees.base_values = Numbers(node, "base_values");
    TupleReader(node, "target").Read(trees);
  }
  if (trees.targets == 1 && trees.transform != ScoreTransform::kNone)
    Refuse(node, "a post_transform of one target");
}

void CheckSplits(const Node& node, TreeEnsemble& trees) {
  for (const TreeEnsemble::Split& split : trees.splits) {
    if (split.mode == Mode::kLeaf) continue;
    if (split.feature < 0 || split.feature >= kMostFeatures)
      ThrowNode(node, fmt::format("a node splits by feature {}", split.feature));
    trees.features = std::max(trees.features, split.feature + 1);
  }
}

double Logistic(double x) { return 1 / (1 + std::exp(-x)); }

void Softmax(std::span<double> scores, bool zeros_stay) {
  constexpr double kZero = 1e-7;
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) {
    score = zeros_stay && std::fabs(score) <= kZero ? 0 : std::exp(score - top);
    sum += score;
  }
  for (double& score : scores) score /= sum;
}

int64_t FinishOneClass(const TreeEnsemble& trees, std::span<double> scores) {
  const double base = trees.base_values.empty() ? 0 : trees.base_values[0];
  const double score = scores[static_cast<size_t>(trees.class_voted)] + base;
  const bool logistic = trees.transform == ScoreTransform::kLogistic;
  if (trees.class_voted == 1) {
    scores[0] = logistic ? 0.5 : 0;
    scores[1] = logistic ? Logistic(score) : score;
  } else if (logistic) {
    scores[0] = Logistic(-score);
    scores[1] = Logistic(score);
  } else {
    scores[0] = trees.all_positive ? 1 - score : -score;
    scores[1] = score;
  }
  return trees.labels[score > (trees.all_positive ? 0.5 : 0) ? 1 : 0];
}

}  // namespace

ScoreTransform ParseTransform(const Node& node, const std::string& text) {
  if (text == "NONE") return ScoreTransform::kNone;
  if (text == "LOGISTIC") return ScoreTransform::kLogistic;
  if (text == "SOFTMAX") return ScoreTransform::kSoftmax;
  if (text == "SOFTMAX_ZERO") return ScoreTransform::kSoftmaxZero;
  Refuse(node, fmt::format("the post_transform {}", text));
}

void Apply(ScoreTransform transform, std::span<double> scores) {
  if (transform == ScoreTransform::kLogistic) {
    for (double& score : scores) score = Logistic(score);
  } else if (transform != ScoreTransform::kNone) {
    Softmax(scores, transform == ScoreTransform::kSoftmaxZero);
  }
}

bool IsTreeEnsemble(const Node& node) noexcept {
  return node.domain == "ai.onnx.ml" && (node.op == "TreeEnsemble" || node.op == "TreeEnsembleClassifier" ||
                                         node.op == "TreeEnsembleRegressor");
}

TreeEnsemble ReadTrees(const Node& node) {
  TreeEnsemble trees;
  if (node.op == "TreeEnsembleClassifier") {
    ReadClassifier(node, trees);
  } else {
    ReadRegressor(node, trees);
  }
  if (trees.roots.empty()) ThrowNode(node, "it has no trees");
  CheckSplits(node, trees);
  if (!trees.one_class && !trees.base_values.empty())
    CheckSize(node, "base_values", trees.base_values.size(), static_cast<size_t>(trees.targets));
  return trees;
}

int64_t FinishScores(const TreeEnsemble& trees, std::span<double> scores, std::span<const uint8_t> voted) {
  if (trees.one_class) return FinishOneClass(trees, scores);
  if (trees.aggregate == TreeEnsemble::Aggregate::kAverage)
    for (double& score : scores) score /= static_cast<double>(trees.roots.size());
  for (size_t i = 0; i < trees.base_values.size(); ++i) scores[i] += trees.base_values[i];
  int64_t label = 0;
  if (trees.classifier()) {
    size_t best = scores.size();
    for (size_t i = 0; i < scores.size(); ++i) {
      if (!voted[i] && trees.base_values.empty()) continue;
      if (best == scores.size() || scores[i] > scores[best]) best = i;
    }
    label = trees.labels[best == scores.size() ? 0 : best];
  }
  Apply(trees.transform, scores);
  return label;
}

}  // namespace strop::model
