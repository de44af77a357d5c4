#include "strop/model/trees.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"

namespace strop::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Texts = std::vector<std::string>;
using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

// x[0] <= 0.5 ? 1 : 2, as one tree of three nodes.
Node Stump() {
  Node node{"TreeEnsembleRegressor", "ai.onnx.ml", "trees", {"x"}, {"y"}, {}};
  node.attributes = {{"nodes_treeids", Ints{0, 0, 0}},
                     {"nodes_nodeids", Ints{0, 1, 2}},
                     {"nodes_featureids", Ints{0, 0, 0}},
                     {"nodes_values", Floats{0.5f, 0, 0}},
                     {"nodes_modes", Texts{"BRANCH_LEQ", "LEAF", "LEAF"}},
                     {"nodes_truenodeids", Ints{1, 0, 0}},
                     {"nodes_falsenodeids", Ints{2, 0, 0}},
                     {"target_treeids", Ints{0, 0}},
                     {"target_nodeids", Ints{1, 2}},
                     {"target_ids", Ints{0, 0}},
                     {"target_weights", Floats{1, 2}},
                     {"n_targets", int64_t{1}}};
  return node;
}

double VoteOf(const TreeEnsemble& trees, float x) {
  const TreeEnsemble::Split& leaf = trees.splits[static_cast<size_t>(LeafOf(trees, trees.roots[0], &x))];
  return trees.votes[static_cast<size_t>(leaf.yes)].weight;
}

TEST(TreesTest, AStumpSplitsAtItsThreshold) {
  const TreeEnsemble trees = ReadTrees(Stump());
  EXPECT_EQ(trees.features, 1);
  EXPECT_EQ(VoteOf(trees, 0.5f), 1);
  EXPECT_EQ(VoteOf(trees, 0.6f), 2);
  EXPECT_EQ(VoteOf(trees, std::nanf("")), 2);
}

TEST(TreesTest, TheNewerOperatorListsLeavesApart) {
  Node node{"TreeEnsemble", "ai.onnx.ml", "trees", {"x"}, {"y"}, {}};
  node.attributes = {{"tree_roots", Ints{0}},
                     {"nodes_featureids", Ints{0}},
                     {"nodes_splits", Tensor::From<float>({1}, Floats{0.5f})},
                     {"nodes_modes", Tensor::From<uint8_t>({1}, std::vector<uint8_t>{1})},
                     {"nodes_truenodeids", Ints{0}},
                     {"nodes_falsenodeids", Ints{1}},
                     {"nodes_trueleafs", Ints{1}},
                     {"nodes_falseleafs", Ints{1}},
                     {"leaf_targetids", Ints{0, 0}},
                     {"leaf_weights", Tensor::From<float>({2}, Floats{1, 2})},
                     {"n_targets", int64_t{1}}};
  const TreeEnsemble trees = ReadTrees(node);
  EXPECT_EQ(VoteOf(trees, 0.4f), 1);
  EXPECT_EQ(VoteOf(trees, 0.5f), 2);             // mode 1 is "less than"
  node.attributes["nodes_trueleafs"] = Ints{0};  // its own child
  EXPECT_THROW(ReadTrees(node), Error);
}

TEST(TreesTest, TreesThatDoNotHoldTogetherAreNamed) {
  const std::vector<std::pair<std::function<void(Node&)>, std::string>> breaks = {
      {[](Node& node) {
         node.attributes["nodes_truenodeids"] = Ints{0, 0, 0};
       },
       "no trees"},
      {[](Node& node) {
         node.attributes["nodes_truenodeids"] = Ints{7, 0, 0};
       },
       "no node 7"},
      {[](Node& node) {
         node.attributes["nodes_nodeids"] = Ints{0, 1, 1};
       },
       "twice"},
      {[](Node& node) { node.attributes["nodes_values"] = Floats{0}; },
       "nodes_values has 1 elements, expected 3"},
      {[](Node& node) {
         node.attributes["nodes_featureids"] = Ints{-1, 0, 0};
       },
       "feature -1"},
      {[](Node& node) {
         node.attributes["nodes_modes"] = Texts{"BRANCH_MEMBER", "LEAF", "LEAF"};
       },
       "BRANCH_MEMBER"},
      {[](Node& node) {
         node.attributes["target_nodeids"] = Ints{1, 9};
       },
       "node 9"},
      {[](Node& node) {
         node.attributes["target_ids"] = Ints{0, 1};
       },
       "target 1, of 1"},
      {[](Node& node) { node.attributes["n_targets"] = int64_t{0}; }, "0 targets"},
      {[](Node& node) {
         node.attributes["base_values"] = Floats{1, 2};
       },
       "base_values has 2 elements, expected 1"},
      {[](Node& node) { node.attributes["post_transform"] = std::string("LOGISTIC"); },
       "post_transform of one target"},
      {[](Node& node) { node.attributes["nodes_values"] = int64_t{1}; }, "no list of floats"},
  };
  for (const auto& [change, message] : breaks) {
    Node node = Stump();
    change(node);
    try {
      ReadTrees(node);
      ADD_FAILURE() << message;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
      EXPECT_THAT(error.what(), HasSubstr("trees"));
    }
  }
}

TEST(TreesTest, OneVotedClassOfTwoIsScoredAsOnnxRuntimeDoes) {
  TreeEnsemble trees;
  trees.targets = 2;
  trees.labels = {5, 7};
  trees.one_class = true;
  const auto finish = [&](double score) {
    std::vector<double> scores = {score, 0};
    const int64_t label = FinishScores(trees, scores, std::vector<uint8_t>{1, 0});
    return std::tuple(label, scores[0], scores[1]);
  };
  EXPECT_EQ(finish(0.25), std::tuple(7, -0.25, 0.25));
  EXPECT_EQ(finish(-0.25), std::tuple(5, 0.25, -0.25));
  trees.all_positive = true;
  EXPECT_EQ(finish(0.25), std::tuple(5, 0.75, 0.25));
  EXPECT_EQ(finish(0.75), std::tuple(7, 0.25, 0.75));
}

TEST(TreesTest, OfSeveralClassesTheFirstOnTopWins) {
  TreeEnsemble trees;
  trees.targets = 3;
  trees.labels = {5, 7, 9};
  std::vector<double> scores = {0, -1, -1};
  EXPECT_EQ(FinishScores(trees, scores, std::vector<uint8_t>{0, 1, 1}), 7);  // none voted for the first
  trees.transform = ScoreTransform::kSoftmax;
  scores = {1, 1, 1};
  EXPECT_EQ(FinishScores(trees, scores, std::vector<uint8_t>{1, 1, 1}), 5);
  EXPECT_THAT(scores, ElementsAre(testing::DoubleEq(1.0 / 3), testing::DoubleEq(1.0 / 3),
                                  testing::DoubleEq(1.0 / 3)));
}

}  // namespace
}  // namespace strop::model
