#include "strop/engine/layers/pool.h"

#include <cmath>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/layers/against_reference.h"
#include "strop/engine/layers/search.h"

namespace strop::engine {
namespace {

using testing::ElementsAre;
using Ints = std::vector<int64_t>;

model::Graph Begun(DType dtype, Shape shape, int64_t opset = 22) {
  model::Graph graph;
  graph.name = "pool";
  graph.ir_version = 8;
  graph.opsets[""] = opset;
  graph.inputs = {{"x", dtype, std::move(shape), {}}};
  graph.inputs[0].dim_names.resize(graph.inputs[0].shape.size());
  return graph;
}

// The output's type and shape are what inference says.
void End(model::Graph& graph, const std::vector<std::string>& outputs) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  for (const std::string& output : outputs) graph.outputs.push_back(values.at(output));
}

std::vector<PoolLayer> Find(const model::Graph& graph, const std::set<std::string>& kept) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  Search search(graph, values, kept);
  return FindPools(search);
}

struct Case {
  std::string name;
  std::map<std::string, model::Attribute> attributes;
};

std::vector<Case> Cases(bool mean) {
  std::vector<Case> cases = {
      {"plain", {{"kernel_shape", Ints{2, 2}}}},
      {"stride", {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}},
      {"uneven", {{"kernel_shape", Ints{3, 2}}, {"strides", Ints{1, 3}}, {"pads", Ints{2, 0, 1, 1}}}},
      {"ceil",
       {{"kernel_shape", Ints{3, 3}},
        {"strides", Ints{2, 3}},
        {"pads", Ints{1, 0, 0, 1}},
        {"ceil_mode", int64_t{1}}}},
      {"dilated", {{"kernel_shape", Ints{3, 2}}, {"dilations", Ints{2, 3}}, {"pads", Ints{2, 1, 2, 2}}}},
      {"upper",
       {{"kernel_shape", Ints{3, 4}}, {"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}}},
      {"lower",
       {{"kernel_shape", Ints{3, 4}}, {"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_LOWER")}}},
      {"valid", {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 1}}, {"auto_pad", std::string("VALID")}}},
  };
  const size_t all = cases.size();
  for (size_t i = 0; mean && i < all; ++i) {
    Case counted = cases[i];
    counted.name += " counting padding";
    counted.attributes["count_include_pad"] = int64_t{1};
    cases.push_back(std::move(counted));
  }
  return cases;
}

TEST(Pool, OfFloatsAnswersAsTheReference) {
  for (const char* op : {"MaxPool", "AveragePool"}) {
    for (const Case& each : Cases(std::string(op) == "AveragePool")) {
      for (const Shape& shape : {Shape{1, 3, 11, 9}, Shape{3, 17, 12, 13}, Shape{2, 70, 9, 30}}) {
        model::Graph graph = Begun(DType::kF32, shape);
        graph.nodes = {MakeNode(op, "pool", {"x"}, {"y"}, each.attributes)};
        End(graph, {"y"});
        for (const int threads : {1, 2})
          ExpectAsReference(graph, {{"x", RandomF32(shape, 1)}}, {.threads = threads},
                            fmt::format("{} {} of {}", op, each.name, ShapeText(shape)));
      }
    }
  }
}

TEST(Pool, OfBytesIsTheGreatestByte) {
  for (const DType dtype : {DType::kU8, DType::kI8}) {
    for (const Case& each : Cases(false)) {
      const Shape shape = {2, 19, 12, 13};
      model::Graph graph = Begun(dtype, shape);
      graph.nodes = {MakeNode("MaxPool", "pool", {"x"}, {"y"}, each.attributes)};
      End(graph, {"y"});
      ExpectAsReference(graph, {{"x", RandomBytes(dtype, shape, 2)}}, {.threads = 2}, each.name);
    }
  }
}

TEST(Pool, WhereAllIsNotANumberTheGreatestIsMinusInfinity) {
  model::Graph graph = Begun(DType::kF32, {1, 3, 6, 6});
  graph.nodes = {MakeNode("MaxPool", "pool", {"x"}, {"y"}, {{"kernel_shape", Ints{2, 2}}})};
  End(graph, {"y"});
  const Tensor x = RandomF32({1, 3, 6, 6}, 3);
  for (int64_t i = 0; i < x.size(); i += i < 36 ? 1 : 3) x.As<float>()[static_cast<size_t>(i)] = NAN;
  ExpectAsReference(graph, {{"x", x}}, {}, "NaN");
}

TEST(Pool, TheMeanOfAllAnswersAsTheReference) {
  for (const Shape& shape :
       {Shape{1, 3, 1, 1}, Shape{3, 17, 7, 7}, Shape{2, 512, 7, 5}, Shape{1, 130, 40, 40}}) {
    model::Graph graph = Begun(DType::kF32, shape);
    graph.nodes = {MakeNode("GlobalAveragePool", "pool", {"x"}, {"y"})};
    End(graph, {"y"});
    for (const int threads : {1, 2})
      ExpectAsReference(graph, {{"x", RandomF32(shape, 1)}}, {.threads = threads}, ShapeText(shape));
  }
}

// x -> QuantizeLinear -> DequantizeLinear -> the pooling -> QuantizeLinear when `scale` is not 0 -> y.
model::Graph Quantized(DType dtype, model::Node pool, Shape shape, float scale) {
  model::Graph graph = Begun(DType::kF32, std::move(shape));
  graph.initializers["in_scale"] = Values<float>(DType::kF32, {0.0078f}, {});
  graph.initializers["zero"] =
      dtype == DType::kU8 ? Values<uint8_t>(DType::kU8, {117}, {}) : Values<int8_t>(DType::kI8, {-11}, {});
  graph.initializers["out_scale"] = Values<float>(DType::kF32, {scale}, {});
  pool.inputs = {"xd"};
  pool.outputs = {scale == 0 ? "y" : "p"};
  graph.nodes = {MakeNode("QuantizeLinear", "q", {"x", "in_scale", "zero"}, {"xq"}),
                 MakeNode("DequantizeLinear", "d", {"xq", "in_scale", "zero"}, {"xd"}), std::move(pool)};
  if (scale != 0) graph.nodes.push_back(MakeNode("QuantizeLinear", "yq", {"p", "out_scale", "zero"}, {"y"}));
  End(graph, {"y"});
  return graph;
}

TEST(FindPools, TheGreatestBetweenEqualQuantizersIsOfBytes) {
  const model::Node pool = MakeNode("MaxPool", "pool", {}, {}, {{"kernel_shape", Ints{2, 2}}});
  const std::vector<PoolLayer> alike = Find(Quantized(DType::kU8, pool, {1, 4, 6, 6}, 0.0078f), {"y"});
  ASSERT_EQ(alike.size(), 1u);
  EXPECT_THAT(alike[0].nodes, ElementsAre(1, 2, 3));
  EXPECT_EQ(alike[0].dtype, DType::kU8);
  const std::vector<PoolLayer> other = Find(Quantized(DType::kU8, pool, {1, 4, 6, 6}, 0.01f), {"y"});
  ASSERT_EQ(other.size(), 1u);
  EXPECT_THAT(other[0].nodes, ElementsAre(2));
  EXPECT_EQ(other[0].dtype, DType::kF32);
}

TEST(Pool, BetweenQuantizersAnswersAsTheReference) {
  const Shape shape = {3, 19, 9, 8};
  const model::Node greatest = MakeNode("MaxPool", "pool", {}, {}, {{"kernel_shape", Ints{3, 2}}});
  const model::Node mean = MakeNode("GlobalAveragePool", "pool", {}, {});
  for (const DType dtype : {DType::kU8, DType::kI8}) {
    for (const model::Node& pool : {greatest, mean}) {
      for (const float scale : {0.0f, 0.0078f, 0.002f}) {
        const model::Graph graph = Quantized(dtype, pool, shape, scale);
        ExpectAsReference(graph, {{"x", RandomF32(shape, 7)}}, {.threads = 2, .share_off = 0.02},
                          fmt::format("{} {} {}", pool.op, DTypeName(dtype), scale));
      }
    }
  }
}

TEST(FindPools, TheMeanOfBytesReachesFromDequantizerToQuantizer) {
  const model::Graph graph =
      Quantized(DType::kI8, MakeNode("GlobalAveragePool", "pool", {}, {}), {1, 4, 6, 6}, 0.01f);
  const std::vector<PoolLayer> layers = Find(graph, {"y"});
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_THAT(layers[0].nodes, ElementsAre(1, 2, 3));
  EXPECT_EQ(layers[0].output_integers->dtype, DType::kI8);
  EXPECT_THAT(Find(graph, {"y", "p"})[0].nodes, ElementsAre(1, 2)) << "the mean itself must come out";
}

TEST(FindPools, WhatTellsThePlaceOfTheGreatestStaysWithOpenVino) {
  model::Graph graph = Begun(DType::kF32, {1, 4, 6, 6});
  graph.nodes = {MakeNode("MaxPool", "pool", {"x"}, {"y", "places"}, {{"kernel_shape", Ints{2, 2}}})};
  End(graph, {"y", "places"});
  EXPECT_EQ(Find(graph, {"y", "places"}).size(), 0u);
}

TEST(FindPools, OnlyImagesArePooled) {
  model::Graph graph = Begun(DType::kF32, {1, 4, 6});
  graph.nodes = {MakeNode("MaxPool", "pool", {"x"}, {"y"}, {{"kernel_shape", Ints{2}}})};
  End(graph, {"y"});
  EXPECT_EQ(Find(graph, {"y"}).size(), 0u);
}

// Images of sizes known only at run, between convolutions: channels last within, plain where a tap asks.
TEST(Pool, BetweenConvolutionsKeepsTheirOrder) {
  model::Graph graph = Begun(DType::kF32, {-1, 3, -1, -1});
  graph.inputs[0].dim_names = {"n", "", "h", "w"};
  graph.initializers["w1"] = RandomF32({20, 3, 3, 3}, 1);
  graph.initializers["w2"] = RandomF32({5, 20, 1, 1}, 2);
  graph.nodes = {
      MakeNode("Conv", "a", {"x", "w1"}, {"a"}, {{"pads", Ints{1, 1, 1, 1}}}),
      MakeNode("MaxPool", "max", {"a"}, {"m"}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}}),
      MakeNode("AveragePool", "mean", {"m"}, {"v"}, {{"kernel_shape", Ints{2, 2}}}),
      MakeNode("Conv", "b", {"v", "w2"}, {"b"}),
      MakeNode("GlobalAveragePool", "all", {"b"}, {"y"}),
  };
  End(graph, {"y"});
  for (const std::vector<std::string>& taps : {std::vector<std::string>{}, {"m"}, {"a", "v", "b"}}) {
    for (const Shape& shape : {Shape{1, 3, 20, 17}, Shape{3, 3, 41, 60}})
      ExpectAsReference(graph, {{"x", RandomF32(shape, 5)}}, {.threads = 2, .taps = taps},
                        fmt::format("{} taps", taps.size()));
  }
}

}  // namespace
}  // namespace strop::engine
