#include "strop/compress/quantize.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/compress/calibrate.h"
#include "strop/compress/test_support.h"
#include "strop/engine/session.h"

namespace strop::compress {
namespace {

using model::Graph;
using model::Node;

std::set<std::string> AllLayers(const Quantizer& quantizer) {
  std::set<std::string> names;
  for (const Layer& layer : quantizer.layers()) names.insert(layer.name);
  return names;
}

Graph Quantized(const Graph& graph, const TensorMap& rows, const QuantizeOptions& options = {}) {
  Quantizer quantizer(graph, options);
  quantizer.SetRanges(Calibrate(graph, quantizer.ActivationsToCalibrate(), rows, 1));
  return quantizer.Build(AllLayers(quantizer));
}

std::vector<std::string> Ops(const Graph& graph) {
  std::vector<std::string> ops;
  for (const Node& node : graph.nodes) ops.push_back(node.op);
  return ops;
}

TEST(Quantization, ZeroIsExact) {
  const Quantization q = Quantization::From({-1, 3});
  EXPECT_FLOAT_EQ(q.scale, 4.F / 255);
  EXPECT_EQ(q.zero_point, 64);
  EXPECT_EQ(Quantization::From({0.5F, 2}).zero_point, 0);
  EXPECT_EQ(Quantization::From({-2, -1}).zero_point, 255);
}

TEST(ExactInput, BytesDividedBy255AreTakenAsTheyAre) {
  const auto exact = FindExactInput(SmallNetwork(1), "x");
  ASSERT_TRUE(exact);
  EXPECT_EQ(exact->input, "image");
  EXPECT_FLOAT_EQ(exact->scale, 1.F / 255);
  EXPECT_EQ(exact->zero_point, 0);
}

TEST(ExactInput, AnOffsetMustBeAWholeNumberOfSteps) {
  Graph graph = SmallNetwork(1);
  const float half = 0.5F, whole = 128.F / 255;
  graph.nodes[2].inputs[0] = "shifted";
  graph.nodes.insert(graph.nodes.begin() + 2, MakeNode("Sub", {"x", "offset"}, "shifted"));
  graph.initializers["offset"] = Tensor::From<float>({}, std::span<const float>(&half, 1));
  EXPECT_FALSE(FindExactInput(graph, "shifted"));  // zero point 127.5
  graph.initializers["offset"] = Tensor::From<float>({}, std::span<const float>(&whole, 1));
  ASSERT_TRUE(FindExactInput(graph, "shifted"));
  EXPECT_EQ(FindExactInput(graph, "shifted")->zero_point, 128);
}

TEST(Quantizer, TheDemoHasNoFloatHopBetweenLayers) {
  Rng rng(2);
  const Graph graph = Quantized(SmallNetwork(1), {{"image", RandomBytes({64, 1, 8, 8}, rng)}});
  // Bias and weight, the layer, Relu, then Q and DQ around what follows.
  const std::string q = "QuantizeLinear", dq = "DequantizeLinear";
  EXPECT_THAT(Ops(graph),
              testing::ElementsAre(dq, dq, dq, "Conv", "Relu", q, dq, "MaxPool", q, dq,                //
                                   dq, dq, "Conv", "Relu", q, dq, "MaxPool", q, dq, "Flatten", q, dq,  //
                                   dq, dq, "Gemm", "Relu", q, dq, dq, dq, "Gemm"));
  EXPECT_EQ(graph.nodes[0].inputs[0], "image");
  EXPECT_FALSE(graph.initializers.contains("w1"));
  EXPECT_FALSE(graph.initializers.contains("c255"));
  EXPECT_EQ(graph.metadata.at("strop.penultimate"), "r3");
  EXPECT_EQ(graph.metadata.at("author"), "someone");
  EXPECT_EQ(graph.outputs[0].name, "logits");
}

TEST(Quantizer, ScalesStayTheSameThroughPoolingAndFlatten) {
  Rng rng(2);
  const Graph graph = Quantized(SmallNetwork(1), {{"image", RandomBytes({64, 1, 8, 8}, rng)}});
  const auto scale_of = [&](const std::string& value) {
    for (const Node* reader : graph.Consumers(value)) {
      if (reader->op == "QuantizeLinear") return graph.initializers.at(reader->inputs[1]).As<float>()[0];
    }
    ADD_FAILURE() << value << " is not quantised";
    return 0.F;
  };
  EXPECT_EQ(scale_of("r1"), scale_of("p1"));
  EXPECT_EQ(scale_of("r2"), scale_of("p2"));
  EXPECT_EQ(scale_of("r2"), scale_of("flat"));
  EXPECT_NE(scale_of("r1"), scale_of("r2"));
}

TEST(Quantizer, AnswersStayCloseToTheFloatModel) {
  Rng rng(8);
  const Graph graph = SmallNetwork(5);
  const TensorMap rows = {{"image", RandomBytes({200, 1, 8, 8}, rng)}};
  const Tensor want = engine::Session::Make(graph)->Run(rows).at("logits");
  const Tensor got = engine::Session::Make(Quantized(graph, rows))->Run(rows).at("logits");
  ASSERT_EQ(got.shape(), want.shape());
  double noise = 0, signal = 0;
  for (size_t i = 0; i < want.As<float>().size(); ++i) {
    noise += std::pow(got.As<float>()[i] - want.As<float>()[i], 2);
    signal += std::pow(want.As<float>()[i], 2);
  }
  EXPECT_GT(noise, 0);
  EXPECT_LT(noise / signal, 1e-2);
}

TEST(Quantizer, ABiasCorrectionIsAddedEvenWhereThereWasNoBias) {
  Graph graph;
  graph.opsets = {{"", 13}};
  graph.inputs = {MakeValue("x", DType::kF32, {-1, 2})};
  graph.outputs = {MakeValue("y", DType::kF32, {-1, 2})};
  graph.initializers = {{"w", Tensor::From<float>({2, 2}, std::vector<float>{1, 0, 0, 1})}};
  graph.nodes = {MakeNode("Gemm", {"x", "w"}, "y")};
  Quantizer quantizer(graph);
  quantizer.SetRanges({{"x", {0, 2.55F}}});
  quantizer.SetBiasCorrection("Gemm_y", Tensor::From<float>({2}, std::vector<float>{0.5F, -1}));
  const TensorMap rows = {{"x", Tensor::From<float>({1, 2}, std::vector<float>{1, 2})}};
  const Tensor got = engine::Session::Make(quantizer.Build({"Gemm_y"}))->Run(rows).at("y");
  EXPECT_NEAR(got.As<float>()[0], 1.5, 0.01);
  EXPECT_NEAR(got.As<float>()[1], 1, 0.01);
}

TEST(Quantizer, ALayerLeftInFloatKeepsItsWeights) {
  Rng rng(2);
  const Graph graph = SmallNetwork(1);
  Quantizer quantizer(graph);
  quantizer.SetRanges(
      Calibrate(graph, quantizer.ActivationsToCalibrate(), {{"image", RandomBytes({64, 1, 8, 8}, rng)}}, 1));
  std::set<std::string> names = AllLayers(quantizer);
  names.erase("Gemm_y3");
  const Graph mixed = quantizer.Build(names);
  EXPECT_TRUE(mixed.initializers.contains("w3"));
  EXPECT_FALSE(mixed.initializers.contains("w4"));
  EXPECT_EQ(Ops(quantizer.Build({})), Ops(graph));
}

TEST(Quantizer, AGemmWithAlphaBetaAndColumnWeightsIsTheSameLayer) {
  Rng rng(6);
  Graph graph;
  graph.opsets = {{"", 13}};
  graph.inputs = {MakeValue("x", DType::kF32, {-1, 6})};
  graph.outputs = {MakeValue("y", DType::kF32, {-1, 4})};
  graph.initializers = {{"w", RandomFloats({6, 4}, rng)}, {"b", RandomFloats({1, 4}, rng)}};
  graph.nodes = {MakeNode("Gemm", {"x", "w", "b"}, "y", {{"alpha", 0.5F}, {"beta", 2.F}})};
  const TensorMap rows = {{"x", RandomFloats({100, 6}, rng)}};
  const Tensor want = engine::Session::Make(graph)->Run(rows).at("y");
  const Tensor got = engine::Session::Make(Quantized(graph, rows))->Run(rows).at("y");
  for (size_t i = 0; i < want.As<float>().size(); ++i)
    EXPECT_NEAR(got.As<float>()[i], want.As<float>()[i], 0.15);
}

// A residual block: both sides of the Add are quantised, so that it has an integer form too.
TEST(Quantizer, AResidualAddLiesBetweenIntegers) {
  using Ints = std::vector<int64_t>;
  Rng rng(6);
  Graph graph;
  graph.opsets = {{"", 13}};
  graph.inputs = {MakeValue("x", DType::kF32, {-1, 4, 6, 6})};
  graph.outputs = {MakeValue("y", DType::kF32, {-1, 3})};
  graph.initializers = {{"w1", RandomFloats({4, 4, 3, 3}, rng, 0.2)},
                        {"w2", RandomFloats({4, 4, 3, 3}, rng, 0.2)},
                        {"w3", RandomFloats({4, 3}, rng)}};
  const std::map<std::string, model::Attribute> conv = {{"kernel_shape", Ints{3, 3}},
                                                        {"pads", Ints{1, 1, 1, 1}}};
  graph.nodes = {MakeNode("Conv", {"x", "w1"}, "c1", conv),
                 MakeNode("Relu", {"c1"}, "r1"),
                 MakeNode("Conv", {"r1", "w2"}, "c2", conv),
                 MakeNode("Add", {"c2", "r1"}, "s"),
                 MakeNode("Relu", {"s"}, "r2"),
                 MakeNode("GlobalAveragePool", {"r2"}, "g"),
                 MakeNode("Flatten", {"g"}, "f"),
                 MakeNode("MatMul", {"f", "w3"}, "y")};
  const TensorMap rows = {{"x", RandomFloats({50, 4, 6, 6}, rng)}};
  const Graph quantized = Quantized(graph, rows);
  for (const std::string value : {"x", "r1", "c2", "r2", "g", "f"}) {
    const auto readers = quantized.Consumers(value);
    ASSERT_EQ(readers.size(), 1U) << value;
    EXPECT_EQ(readers[0]->op, "QuantizeLinear") << value;
  }
  const Tensor want = engine::Session::Make(graph)->Run(rows).at("y");
  const Tensor got = engine::Session::Make(quantized)->Run(rows).at("y");
  double noise = 0, signal = 0;
  for (size_t i = 0; i < want.As<float>().size(); ++i) {
    noise += std::pow(got.As<float>()[i] - want.As<float>()[i], 2);
    signal += std::pow(want.As<float>()[i], 2);
  }
  EXPECT_LT(noise / signal, 5e-3);
}

TEST(Quantizer, AnUnknownLayerIsNamed) {
  const Quantizer quantizer(SmallNetwork(1));
  EXPECT_THROW(quantizer.Build({"no such layer"}), Error);
}

TEST(RaiseOpset, NamesAnOperatorThatChanged) {
  Graph graph = SmallNetwork(1);
  graph.opsets[""] = 11;
  RaiseOpset(graph);
  EXPECT_EQ(graph.opset(), 13);
  graph.opsets[""] = 11;
  graph.nodes.push_back(MakeNode("Softmax", {"logits"}, "p"));
  try {
    RaiseOpset(graph);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
    EXPECT_THAT(error.what(), testing::HasSubstr("Softmax 'Softmax_p'"));
  }
}

}  // namespace
}  // namespace strop::compress
