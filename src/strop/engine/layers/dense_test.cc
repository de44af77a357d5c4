#include "strop/engine/layers/dense.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/layers/search.h"
#include "strop/engine/test_graphs.h"

namespace strop::engine {
namespace {

using testing::ElementsAre;

std::vector<DenseLayer> Find(const model::Graph& graph, const std::set<std::string>& kept) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  Search search(graph, values, kept);
  return FindDense(search);
}

TEST(FindDense, FusesBiasAndRelu) {
  const std::vector<DenseLayer> layers = Find(TwoDenseLayers(), {"y"});
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_THAT(layers[0].nodes, ElementsAre(0, 1, 2));
  EXPECT_EQ(layers[0].bias, "b1");
  EXPECT_EQ(layers[0].output, "h2");
  EXPECT_TRUE(layers[0].relu);
  EXPECT_EQ(layers[0].n, 40);
  EXPECT_EQ(layers[0].k, 12);
  EXPECT_THAT(layers[1].nodes, ElementsAre(4));
  EXPECT_TRUE(layers[1].transposed);
  EXPECT_EQ(layers[1].weight_scale, 0.5f);
  EXPECT_EQ(layers[1].bias_scale, 2.0f);
  EXPECT_FALSE(layers[1].relu);
}

TEST(FindDense, AKeptValueIsNotHiddenByFusing) {
  const std::vector<DenseLayer> layers = Find(TwoDenseLayers(), {"y", "h1"});
  EXPECT_THAT(layers[0].nodes, ElementsAre(0, 1));
  EXPECT_EQ(layers[0].output, "h1");
}

TEST(FindDense, AValueThatAnotherNodeReadsIsNotHiddenByFusing) {
  model::Graph graph = TwoDenseLayers();
  graph.nodes.push_back(MakeNode("Neg", "neg", {"h0"}, {"z"}));
  graph.outputs.push_back({"z", DType::kF32, {-1, 40}, {"batch", ""}});
  EXPECT_THAT(Find(graph, {"y", "z"})[0].nodes, ElementsAre(0));
}

TEST(FindDense, ALayerOfFloatsThatReadsDequantizedNumbersStaysWithOpenVino) {
  model::Graph graph = TwoDenseLayers();
  graph.initializers["scale"] = RandomF32({}, 5);
  graph.nodes[3] = MakeNode("QuantizeLinear", "quantize", {"h2", "scale"}, {"q"});
  graph.nodes.insert(graph.nodes.begin() + 4,
                     MakeNode("DequantizeLinear", "dequantize", {"q", "scale"}, {"h3"}));
  const std::vector<DenseLayer> layers = Find(graph, {"y"});
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].output, "q");
  EXPECT_TRUE(layers[0].chain->quantized);
}

TEST(FindDense, WeightsThatAreNoConstantStayWithOpenVino) {
  model::Graph graph = TwoDenseLayers();
  graph.initializers.erase("w1");
  graph.inputs.push_back({"w1", DType::kF32, {12, 40}, {"", ""}});
  EXPECT_EQ(Find(graph, {"y"}).size(), 1u);
}

// Bytes into bytes: x -> QuantizeLinear -> a layer of integers (bias, Relu) -> one into float32 -> Sin -> y.
TEST(FindDense, ALayerOfIntegersReachesFromItsDequantizersToItsQuantizer) {
  const model::Graph graph = TwoInt8Layers(DType::kU8, DType::kI8);
  const std::vector<DenseLayer> layers = Find(graph, {"y"});
  ASSERT_EQ(layers.size(), 2u);
  const auto ops = [&](const DenseLayer& layer) {
    std::vector<std::string> found;
    for (const size_t node : layer.nodes) found.push_back(graph.nodes[node].op);
    return found;
  };
  EXPECT_THAT(ops(layers[0]), ElementsAre("DequantizeLinear", "DequantizeLinear", "DequantizeLinear",
                                          "MatMul", "Add", "Relu", "QuantizeLinear"));
  EXPECT_EQ(layers[0].input, "xq");
  EXPECT_EQ(layers[0].weight, "w1");
  EXPECT_EQ(layers[0].bias, "b1");
  EXPECT_EQ(layers[0].output, "hq");
  EXPECT_TRUE(layers[0].relu);
  EXPECT_EQ(layers[0].integers->bias_scale, "b1_scale");
  EXPECT_EQ(layers[0].integers->output->zero, 11);
  EXPECT_THAT(ops(layers[1]), ElementsAre("DequantizeLinear", "DequantizeLinear", "Gemm"));
  EXPECT_EQ(layers[1].output, "h3");
  EXPECT_FALSE(layers[1].integers->output);
}

TEST(FindDense, WeightsOfIntegersOffTheirCentreStayWithOpenVino) {
  model::Graph graph = TwoInt8Layers(DType::kU8, DType::kI8);
  graph.initializers["w1_zero"].As<int8_t>()[3] = 1;
  const std::vector<DenseLayer> layers = Find(graph, {"y"});
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].weight, "w2");
}

TEST(FindDense, AScaleAlongTheWrongAxisStaysWithOpenVino) {
  model::Graph graph = TwoInt8Layers(DType::kU8, DType::kI8);
  for (model::Node& node : graph.nodes)
    if (node.inputs[0] == "w1") node.attributes["axis"] = int64_t{0};
  EXPECT_EQ(Find(graph, {"y"}).size(), 1u);
}

TEST(PartDequantizers, EveryReaderHasItsOwn) {
  model::Graph graph = TwoInt8Layers(DType::kU8, DType::kI8);
  graph.nodes.push_back(MakeNode("Neg", "neg", {"xd"}, {"z"}));
  graph.outputs.push_back({"z", DType::kF32, {-1, 12}, {"batch", ""}});
  EXPECT_EQ(Find(graph, {"y", "z"}).size(), 1u) << "the first layer's input has another reader";
  PartDequantizers(graph);
  EXPECT_EQ(Find(graph, {"y", "z"}).size(), 2u);
  EXPECT_NE(graph.Producer("z")->inputs[0], "xd");
}

}  // namespace
}  // namespace strop::engine
