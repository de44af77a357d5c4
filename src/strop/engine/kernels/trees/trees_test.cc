#include "strop/engine/kernels/trees/trees.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "strop/base/rng.h"
#include "strop/engine/kernels/trees/test_trees.h"

namespace strop::engine {
namespace {

using model::LeafOf;
using model::TreeEnsemble;
using Mode = TreeEnsemble::Mode;

// The vote of every pair of a tree and a row, tree by tree.
std::vector<double> Votes(const TreeKernel& kernel, const PackedTrees& packed, const std::vector<float>& x,
                          int64_t rows) {
  std::vector<int32_t> leaves(packed.roots.size() * static_cast<size_t>(rows), -1);
  kernel.run({x.data(), rows, static_cast<int64_t>(x.size()) / rows, packed.nodes.data(), packed.roots.data(),
              static_cast<int64_t>(packed.roots.size()), leaves.data()});
  std::vector<double> votes;
  for (const int32_t leaf : leaves)
    votes.push_back(packed.weights[static_cast<size_t>(packed.first_vote[static_cast<size_t>(leaf)])]);
  return votes;
}

std::vector<double> NaiveVotes(const TreeEnsemble& trees, const std::vector<float>& x, int64_t rows) {
  std::vector<double> votes;
  for (const int32_t root : trees.roots) {
    for (int64_t r = 0; r < rows; ++r) {
      const float* const row = x.data() + r * static_cast<int64_t>(x.size()) / rows;
      const TreeEnsemble::Split& leaf = trees.splits[static_cast<size_t>(LeafOf(trees, root, row))];
      votes.push_back(trees.votes[static_cast<size_t>(leaf.yes)].weight);
    }
  }
  return votes;
}

class TreesTest : public testing::TestWithParam<TreeKernel> {};

TEST_P(TreesTest, EveryRowEndsInTheModelsLeaf) {
  if (!Runs(GetParam(), Cpu())) GTEST_SKIP() << "this CPU, or STROP_ISA, lacks " << IsaName(GetParam().isa);
  Rng rng(1, 0);
  for (const int64_t rows : {1, 3, 8, 16, 32, 63, 64, 128}) {
    for (const int trees : {1, 5, 40}) {
      for (const int depth : {0, 1, 4, 9}) {
        const TreeEnsemble ensemble = RandomTrees(rng, trees, depth, 5);
        const std::vector<float> x = RandomRows(rng, rows * 5);
        const auto packed = PackTrees(ensemble);
        ASSERT_TRUE(packed);
        EXPECT_EQ(Votes(GetParam(), *packed, x, rows), NaiveVotes(ensemble, x, rows))
            << rows << " rows, " << trees << " trees of depth " << depth;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, TreesTest, testing::ValuesIn(TreeKernels().begin(), TreeKernels().end()),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(PackTreesTest, NamesTheColumnsThatManyFeaturesAreSplitBy) {
  Rng rng(2, 0);
  const TreeEnsemble trees = RandomTrees(rng, 20, 4, 7, 3000);
  const auto packed = PackTrees(trees);
  ASSERT_TRUE(packed);
  ASSERT_FALSE(packed->columns.empty());
  EXPECT_LE(packed->columns.size(), 7u);
  for (const TreeNode node : packed->nodes) EXPECT_LT(node.feature(), packed->columns.size());
  EXPECT_TRUE(std::ranges::all_of(packed->columns, [](int32_t column) { return column % 3000 == 0; }));
}

TEST(PackTreesTest, LeavesWhatIsNotAnOrderToTheReference) {
  Rng rng(3, 0);
  TreeEnsemble trees = RandomTrees(rng, 5, 4, 3);
  std::ranges::find_if(trees.splits, [](const auto& split) { return split.mode != Mode::kLeaf; })->mode =
      Mode::kEqual;
  EXPECT_FALSE(PackTrees(trees));
}

TEST(PackTreesTest, ADoubleThresholdSplitsFloatsWhereItLies) {
  TreeEnsemble trees;
  trees.roots = {0};
  trees.features = 1;
  trees.votes = {{0, 1.0}, {0, 2.0}};
  const double between = 1 + 0x1p-40;  // of two neighbouring float32
  for (const Mode mode : kOrders) {
    trees.splits = {
        {mode, false, 0, between, 1, 2}, {Mode::kLeaf, false, 0, 0, 0, 1}, {Mode::kLeaf, false, 0, 0, 1, 2}};
    const std::vector<float> x = {1, std::nextafter(1.0f, 2.0f)};
    EXPECT_EQ(Votes(TreeKernels()[0], *PackTrees(trees), x, 2), NaiveVotes(trees, x, 2));
  }
}

TEST(PickTreesTest, TakesTheHighestThatTheFlagsAllow) {
  EXPECT_EQ(PickTrees({}).isa, Isa::kScalar);
  for (const TreeKernel& kernel : TreeKernels()) {
    CpuFlags flags{true, true, true, false};
    EXPECT_EQ(PickTrees(Limit(flags, kernel.isa)).name, kernel.name);
  }
}

}  // namespace
}  // namespace strop::engine
