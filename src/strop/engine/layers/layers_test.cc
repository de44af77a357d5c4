#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/layers/layer.h"
#include "strop/engine/test_graphs.h"

namespace strop::engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Ints = std::vector<int64_t>;

// x -> conv -> a -> MaxPool -> p -> conv -> b; b + p -> s (Relu) -> r -> conv -> y.
model::Graph Block() {
  model::Graph graph;
  graph.name = "block";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"x", DType::kF32, {1, 3, 12, 12}, {}}};
  graph.inputs[0].dim_names.resize(4);
  graph.initializers["w1"] = RandomF32({8, 3, 3, 3}, 1);
  graph.initializers["w2"] = RandomF32({8, 8, 1, 1}, 2);
  graph.initializers["w3"] = RandomF32({4, 8, 1, 1}, 3);
  graph.nodes = {
      MakeNode("Conv", "one", {"x", "w1"}, {"a"}),
      MakeNode("MaxPool", "pool", {"a"}, {"p"}, {{"kernel_shape", Ints{2, 2}}}),
      MakeNode("Conv", "two", {"p", "w2"}, {"b"}),
      MakeNode("Add", "add", {"b", "p"}, {"s"}),
      MakeNode("Relu", "relu", {"s"}, {"r"}),
      MakeNode("Conv", "three", {"r", "w3"}, {"y"}),
  };
  graph.outputs = {{"y", DType::kF32, {1, 4, 9, 9}, {"", "", "", ""}}};
  return graph;
}

std::vector<std::string> ChannelsLast(const model::Graph& graph, const std::set<std::string>& kept) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  const std::vector<Layer> layers = FindLayers(graph, values, kept);
  std::vector<std::string> found;
  for (const auto& [value, order] : OrderValues(graph, layers, values, kept)) {
    EXPECT_EQ(order, Order::kChannelsLast);
    found.push_back(value);
  }
  return found;
}

std::vector<std::vector<size_t>> Nodes(const model::Graph& graph, const std::set<std::string>& kept) {
  std::vector<std::vector<size_t>> nodes;
  for (const Layer& layer : FindLayers(graph, model::InferShapes(graph), kept)) nodes.push_back(layer.nodes);
  return nodes;
}

TEST(FindLayers, AreInTheOrderOfTheirLastNodesAndApart) {
  EXPECT_THAT(Nodes(Block(), {"y"}),
              ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2, 3, 4), ElementsAre(5)));
}

TEST(OrderValues, WhatOnlyLayersOfImagesMakeAndReadIsChannelsLast) {
  EXPECT_THAT(ChannelsLast(Block(), {"y"}), ElementsAre("a", "p", "r"));
}

TEST(OrderValues, AKeptValueIsPlain) {
  EXPECT_THAT(ChannelsLast(Block(), {"y", "a"}), ElementsAre("p", "r"));
  // The sum is now the end of its layer, and the Relu a chain that begins at a plain value.
  EXPECT_THAT(ChannelsLast(Block(), {"y", "s"}), ElementsAre("a", "p"));
}

TEST(OrderValues, AValueThatOpenVinoReadsIsPlain) {
  model::Graph graph = Block();
  graph.nodes.push_back(MakeNode("Sin", "sin", {"p"}, {"z"}));
  graph.outputs.push_back({"z", DType::kF32, {1, 8, 9, 9}, {"", "", "", ""}});
  EXPECT_THAT(ChannelsLast(graph, {"y", "z"}), ElementsAre("a", "r"));
}

// A chain that follows no product takes all of its values in one order.
TEST(OrderValues, AChainBetweenImagesIsOfOneOrder) {
  model::Graph graph = Block();
  graph.nodes[3] = MakeNode("Add", "add", {"b", "b2"}, {"s"});
  graph.nodes.insert(graph.nodes.begin() + 3, MakeNode("Sigmoid", "sigmoid", {"b"}, {"b2"}));
  graph.nodes.insert(graph.nodes.begin() + 4, MakeNode("Conv", "more", {"b", "w2"}, {"c"}));
  graph.nodes[6] = MakeNode("Relu", "relu", {"s"}, {"r"});
  graph.nodes.push_back(MakeNode("Conv", "other", {"c", "w3"}, {"z"}));
  graph.outputs.push_back({"z", DType::kF32, {1, 4, 9, 9}, {"", "", "", ""}});
  EXPECT_THAT(ChannelsLast(graph, {"y", "z"}), ElementsAre("a", "b", "c", "p", "r"));
  EXPECT_THAT(ChannelsLast(graph, {"y", "z", "b"}), ElementsAre("a", "c", "p"))
      << "nor is r, which is made of b";
}

// Along the last dimension a row of memory has to be one of the shape.
TEST(OrderValues, AChainOfRowsIsPlain) {
  model::Graph graph = Block();
  graph.nodes[4] = MakeNode("Softmax", "softmax", {"s"}, {"r"}, {{"axis", int64_t{-1}}});
  EXPECT_THAT(ChannelsLast(graph, {"y"}), ElementsAre("a")) << "the chain reads b and p";
}

TEST(OrderValues, WhatIsReshapedIsPlain) {
  model::Graph graph = Block();
  graph.initializers["flat"] = RandomF32({8 * 81, 5}, 4);
  graph.nodes.resize(5);
  graph.nodes.push_back(MakeNode("Flatten", "flatten", {"r"}, {"f"}));
  graph.nodes.push_back(MakeNode("MatMul", "product", {"f", "flat"}, {"y"}));
  graph.outputs = {{"y", DType::kF32, {1, 5}, {"", ""}}};
  EXPECT_EQ(Nodes(graph, {"y"}).size(), 5u);
  EXPECT_THAT(ChannelsLast(graph, {"y"}), ElementsAre("a", "p"));
}

TEST(FindLayers, AChainThatStandsAloneStaysWithOpenVino) {
  model::Graph graph = Block();
  graph.nodes = {MakeNode("Relu", "relu", {"x"}, {"r"}), MakeNode("Flatten", "flatten", {"r"}, {"y"})};
  graph.outputs = {{"y", DType::kF32, {1, 432}, {"", ""}}};
  EXPECT_THAT(Nodes(graph, {"y"}), IsEmpty());
}

}  // namespace
}  // namespace strop::engine
