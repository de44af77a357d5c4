#include "strop/engine/work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/test_graphs.h"

namespace strop::engine {
namespace {

using model::Graph;

MATCHER_P2(Asks, flops, bytes, "") {
  *result_listener << "flops " << arg.flops << ", bytes " << arg.bytes;
  return arg.flops == flops && arg.bytes == bytes;
}

TEST(Work, OfDenseLayersAndTheNodeBetween) {
  const ModelWork work = CountWork(TwoDenseLayers(), {{"x", {3, 12}}});
  ASSERT_EQ(work.layers.size(), 2u);
  const double product = 2.0 * 3 * 40 * 12, second = 2.0 * 3 * 5 * 40;
  // With Add and Relu of 3 x 40 numbers; x, w1, b1 and the answer.
  EXPECT_THAT(work.layers.at("matmul"), Asks(product + 2 * 120, 4.0 * (36 + 480 + 40 + 120)));
  EXPECT_THAT(work.layers.at("gemm"), Asks(second, 4.0 * (120 + 200 + 1 + 15)));
  EXPECT_THAT(work.nodes.at("matmul"), Asks(product, 4.0 * (36 + 480 + 120)));
  EXPECT_THAT(work.nodes.at("sin"), Asks(120.0, 4.0 * 240));
  EXPECT_THAT(work.total, Asks(product + second + 3 * 120, 4.0 * (676 + 240 + 336)));
}

TEST(Work, WhatLiesBetweenQuantizersIsBytes) {
  const ModelWork work = CountWork(TwoInt8Layers(DType::kU8, DType::kI8), {{"x", {3, 12}}});
  // Bytes in, of weights and out; a scale a column of weights and of bias, its zero points, and the scale and
  // zero point of either side.
  EXPECT_THAT(work.layers.at("matmul"),
              Asks(2.0 * 3 * 40 * 12 + 2 * 120, 36 + 480 + 120 + 40 * (4.0 + 1 + 4 + 4) + 2 * (4 + 1)));
  EXPECT_THAT(work.nodes.at("matmul"), Asks(2.0 * 3 * 40 * 12, 36 + 480 + 4.0 * 120));
  EXPECT_FALSE(work.nodes.contains("w1d"));
  EXPECT_FALSE(work.nodes.contains("xq"));
  EXPECT_THAT(work.nodes.at("relu"), Asks(120.0, 4.0 * 120 + 120));
}

// x [images, 6, 10, 10] -> Conv 3 x 3 in two groups of 3 to 4 channels -> Relu -> MaxPool 2 x 2 -> y.
Graph Convolution() {
  Graph graph;
  graph.name = "convolution";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"x", DType::kF32, {-1, 6, 10, 10}, {"images", "", "", ""}}};
  graph.outputs = {{"y", DType::kF32, {-1, 8, 4, 4}, {"images", "", "", ""}}};
  graph.initializers["w"] = RandomF32({8, 3, 3, 3}, 1);
  graph.initializers["b"] = RandomF32({8}, 2);
  const std::vector<int64_t> two = {2, 2};
  graph.nodes = {
      MakeNode("Conv", "conv", {"x", "w", "b"}, {"c"}, {{"group", int64_t{2}}}),
      MakeNode("Relu", "relu", {"c"}, {"r"}),
      MakeNode("MaxPool", "pool", {"r"}, {"y"}, {{"kernel_shape", two}, {"strides", two}}),
  };
  return graph;
}

TEST(Work, OfConvolutionsInGroupsAndPoolings) {
  const ModelWork work = CountWork(Convolution(), {{"x", {2, 6, 10, 10}}});
  const double answers = 2.0 * 8 * 8 * 8, pooled = 2.0 * 8 * 4 * 4;
  EXPECT_THAT(work.nodes.at("conv"), Asks(answers * 2 * 27, 4 * (1200 + 216 + 8 + answers)));
  EXPECT_THAT(work.nodes.at("relu"), Asks(answers, 4 * 2 * answers));
  EXPECT_THAT(work.nodes.at("pool"), Asks(pooled * 4, 4 * (answers + pooled)));
  EXPECT_THAT(work.layers.at("pool"), Asks(pooled * 4, 4 * (answers + pooled)));
}

// 6 rows of 1000 of 16 numbers, normalised, multiplied, and through Softmax, which is done with the product.
TEST(Work, OfMovesAndChains) {
  Graph graph;
  graph.name = "rows";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"x", DType::kI64, {-1}, {"rows"}}};
  graph.outputs = {{"y", DType::kF32, {-1, 8}, {"rows", ""}}};
  graph.initializers["table"] = RandomF32({1000, 16}, 1);
  graph.initializers["scale"] = RandomF32({16}, 2);
  graph.initializers["w"] = RandomF32({16, 8}, 3);
  graph.nodes = {
      MakeNode("Gather", "gather", {"table", "x"}, {"g"}),
      MakeNode("LayerNormalization", "norm", {"g", "scale"}, {"n"}),
      MakeNode("MatMul", "matmul", {"n", "w"}, {"m"}),
      MakeNode("Softmax", "softmax", {"m"}, {"y"}),
  };
  const ModelWork work = CountWork(graph, {{"x", {6}}});
  const auto gather = Asks(0.0, 6 * 8 + 2 * 6 * 16 * 4.0);  // of the table no more than is answered
  EXPECT_THAT(work.nodes.at("gather"), gather);
  EXPECT_THAT(work.nodes.at("softmax"), Asks(5 * 48.0, 4 * 2 * 48.0));
  ASSERT_EQ(work.layers.size(), 3u);
  EXPECT_THAT(work.layers.at("gather"), gather);
  EXPECT_THAT(work.layers.at("norm"), Asks(7 * 96.0, 4 * (2 * 96 + 16.0)));
  EXPECT_THAT(work.layers.at("matmul"), Asks(2.0 * 6 * 8 * 16 + 5 * 48, 4.0 * (96 + 128 + 48)));
}

}  // namespace
}  // namespace strop::engine
