#include "strop/engine/partition.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/test_graphs.h"

namespace strop::engine {
namespace {

using testing::ElementsAre;

std::vector<Layer> Find(const model::Graph& graph, const std::set<std::string>& kept) {
  return FindLayers(graph, model::InferShapes(graph), kept);
}

TEST(Partition, LayersAreStepsBetweenRegions) {
  const model::Graph graph = TwoDenseLayers();
  const std::vector<Layer> layers = Find(graph, {"y"});
  const std::vector<Region> regions = Partition(graph, layers, {}, {"y"});
  ASSERT_EQ(regions.size(), 3u);
  EXPECT_EQ(regions[0].runner, Runner::kStrop);
  EXPECT_THAT(regions[0].inputs, ElementsAre("x"));
  EXPECT_THAT(regions[0].outputs, ElementsAre("h2"));
  EXPECT_EQ(regions[1].runner, Runner::kOpenVino);
  EXPECT_THAT(regions[1].nodes, ElementsAre(3));
  EXPECT_EQ(regions[2].runner, Runner::kStrop);
  EXPECT_THAT(regions[2].outputs, ElementsAre("y"));
}

TEST(Partition, WithoutSingleStepsTheWholeGraphIsOneRegion) {
  const std::vector<Region> regions = Partition(TwoDenseLayers(), {}, {}, {"y"});
  ASSERT_EQ(regions.size(), 1u);
  EXPECT_EQ(regions[0].nodes.size(), 5u);
  EXPECT_THAT(regions[0].inputs, ElementsAre("x"));
  EXPECT_THAT(regions[0].outputs, ElementsAre("y"));
}

// Random graphs: every node in one region, and a region reads only what earlier ones, the inputs or constants
// made.
TEST(Partition, EveryOrderOfRunningIsPossible) {
  Rng rng(11);
  for (int round = 0; round < 200; ++round) {
    model::Graph graph;
    graph.inputs = {{"v0", DType::kF32, {4}, {}}};
    std::set<size_t> reference;
    const size_t count = 2 + rng.Below(14);
    for (size_t i = 0; i < count; ++i) {
      const auto value = [&] { return "v" + std::to_string(rng.Below(i + 1)); };
      graph.nodes.push_back(
          MakeNode("Add", "n" + std::to_string(i), {value(), value()}, {"v" + std::to_string(i + 1)}));
      if (rng.Below(3) == 0) reference.insert(i);
    }
    const std::string last = "v" + std::to_string(count);
    std::set<std::string> made = {"v0"};
    std::set<size_t> seen;
    for (const Region& region : Partition(graph, {}, reference, {last})) {
      for (const std::string& value : region.inputs)
        EXPECT_TRUE(made.contains(value)) << "round " << round << " " << value;
      for (const size_t node : region.nodes) EXPECT_TRUE(seen.insert(node).second) << "round " << round;
      made.insert(region.outputs.begin(), region.outputs.end());
    }
    EXPECT_EQ(seen.size(), count);
    EXPECT_TRUE(made.contains(last));
  }
}

}  // namespace
}  // namespace strop::engine
