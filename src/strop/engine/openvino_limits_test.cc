#include "strop/engine/openvino_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/session.h"
#include "strop/engine/test_graphs.h"

namespace strop::engine {
namespace {

using testing::HasSubstr;

// Why OpenVINO is not given the node; "" when it is.
std::string WhyNot(model::Node node, std::map<std::string, Tensor> constants = {}) {
  model::Graph graph;
  graph.opsets[""] = kNewestOpset;
  graph.inputs = {{"x", DType::kF32, {2, 3, 8, 8}, {}}};
  graph.initializers = std::move(constants);
  graph.nodes = {std::move(node)};
  const auto beyond = BeyondOpenVino(graph, model::InferShapes(graph));
  return beyond.empty() ? "" : beyond.at(0);
}

TEST(BeyondOpenVino, AnAttributeThatItDoesNotMind) {
  EXPECT_EQ(WhyNot(MakeNode("Relu", "n", {"x"}, {"y"})), "");
  EXPECT_THAT(WhyNot(MakeNode("Relu", "n", {"x"}, {"y"}, {{"leak", 1.0f}})), HasSubstr("leak"));
  EXPECT_THAT(WhyNot(MakeNode("SpaceToDepth", "n", {"x"}, {"y"},
                              {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}})),
              HasSubstr("mode"));
  EXPECT_THAT(WhyNot(MakeNode("Novelty", "n", {"x"}, {"y"})), HasSubstr("does not know"));
}

TEST(BeyondOpenVino, CeilOnlyWhereAWindowCouldLieInThePadding) {
  const auto pool = [](int64_t kernel, int64_t stride) {
    return WhyNot(MakeNode("MaxPool", "n", {"x"}, {"y"},
                           {{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
                            {"strides", std::vector<int64_t>{stride, stride}},
                            {"ceil_mode", int64_t{1}}}));
  };
  EXPECT_EQ(pool(3, 2), "");
  EXPECT_EQ(pool(2, 2), "");
  EXPECT_NE(pool(1, 2), "");
}

TEST(BeyondOpenVino, ReductionsOfTheOpsetsThatItMisreads) {
  for (const int64_t opset : {11, 13, 17, 18}) {
    model::Graph graph;
    graph.opsets[""] = opset;
    graph.inputs = {{"x", DType::kF32, {2, 3}, {}}};
    graph.nodes = {MakeNode("ReduceLogSumExp", "n", {"x"}, {"y"}, {{"axes", std::vector<int64_t>{1}}})};
    EXPECT_EQ(BeyondOpenVino(graph, model::InferShapes(graph)).size(), opset == 13 || opset == 17 ? 1u : 0u);
  }
}

// x -> (the nodes) -> t -> QuantizeLinear -> q -> DequantizeLinear -> d -> the last of them.
std::map<size_t, std::string> AroundBytes(std::vector<model::Node> before, std::vector<model::Node> behind) {
  model::Graph graph;
  graph.opsets[""] = 17;
  graph.inputs = {{"x", DType::kF32, {2, 3, 4}, {}}};
  graph.initializers["signs"] = Values<float>(DType::kF32, {1, -2, 3}, {3, 1});
  graph.initializers["plus"] = Values<float>(DType::kF32, {1, 2, 3}, {3, 1});
  graph.initializers["scale"] = Values<float>(DType::kF32, {0.1f}, {});
  graph.initializers["zero"] = Values<uint8_t>(DType::kU8, {3}, {});
  graph.nodes = std::move(before);
  graph.nodes.push_back(MakeNode("QuantizeLinear", "q", {"t", "scale", "zero"}, {"q"}));
  graph.nodes.push_back(MakeNode("DequantizeLinear", "d", {"q", "scale", "zero"}, {"d"}));
  for (model::Node& node : behind) graph.nodes.push_back(std::move(node));
  return BeyondOpenVino(graph, model::InferShapes(graph));
}

TEST(BeyondOpenVino, ReductionsOfDequantizedBytes) {
  const model::Node relu = MakeNode("Relu", "r", {"x"}, {"t"});
  const model::Node mean = MakeNode("ReduceMean", "m", {"d"}, {"y"}, {{"axes", std::vector<int64_t>{1}}});
  EXPECT_THAT(AroundBytes({relu}, {mean}), testing::ElementsAre(testing::Pair(3, HasSubstr("in bytes"))));
  model::Node behind = mean;
  behind.inputs[0] = "dt";
  const model::Node move = MakeNode("Transpose", "tr", {"d"}, {"dt"});
  EXPECT_THAT(AroundBytes({relu}, {move, behind}),
              testing::ElementsAre(testing::Pair(4, HasSubstr("in bytes"))));
  const model::Node sum = MakeNode("Add", "a", {"d", "d"}, {"dt"});
  EXPECT_TRUE(AroundBytes({relu}, {sum, behind}).empty());
}

TEST(BeyondOpenVino, QuantizersOfWhatANegativeConstantScales) {
  for (const char* constant : {"signs", "plus"}) {
    const auto mul = [&](const char* to) { return MakeNode("Mul", "m", {constant, "x"}, {to}); };
    const size_t wanted = std::string(constant) == "signs" ? 1 : 0;
    EXPECT_EQ(AroundBytes({mul("t")}, {}).size(), wanted) << constant;
    EXPECT_EQ(AroundBytes({mul("u"), MakeNode("Add", "a", {"u", "plus"}, {"t"})}, {}).size(), wanted)
        << constant;
    EXPECT_TRUE(AroundBytes({mul("u"), MakeNode("Sin", "s", {"u"}, {"t"})}, {}).empty()) << constant;
  }
}

TEST(BeyondOpenVino, AlignedCornersOfWholeScalesStay) {
  const auto resize = [](float scale) {
    return WhyNot(MakeNode("Resize", "n", {"x", "", "scales"}, {"y"},
                           {{"coordinate_transformation_mode", std::string("align_corners")}}),
                  {{"scales", Tensor::From<float>({4}, std::vector<float>{1, 1, scale, scale})}});
  };
  EXPECT_EQ(resize(2), "");
  EXPECT_NE(resize(0.6f), "");
}

TEST(BeyondOpenVino, AComputedValueOfPad) {
  model::Graph graph;
  graph.opsets[""] = kNewestOpset;
  graph.inputs = {{"x", DType::kF32, {4}, {}}, {"value", DType::kF32, {}, {}}};
  graph.initializers["pads"] = Tensor::From<int64_t>({2}, std::vector<int64_t>{1, 2});
  graph.nodes = {MakeNode("Pad", "pad", {"x", "pads", "value"}, {"y"}),
                 MakeNode("Pad", "zeros", {"x", "pads"}, {"z"})};
  const auto beyond = BeyondOpenVino(graph, model::InferShapes(graph));
  EXPECT_TRUE(beyond.contains(0) && !beyond.contains(1));
}

TEST(BeyondOpenVino, ARoundedQuotientTakesItsDivisionAlong) {
  model::Graph graph;
  graph.opsets[""] = kNewestOpset;
  graph.inputs = {{"x", DType::kF32, {4}, {}}, {"scale", DType::kF32, {}, {}}};
  graph.nodes = {MakeNode("Div", "div", {"x", "scale"}, {"q"}), MakeNode("Round", "round", {"q"}, {"y"}),
                 MakeNode("Div", "other", {"y", "scale"}, {"z"})};
  const auto beyond = BeyondOpenVino(graph, model::InferShapes(graph));
  EXPECT_TRUE(beyond.contains(0) && beyond.contains(1) && !beyond.contains(2));
}

// OpenVINO starts at the largest finite number.
TEST(ForOpenVino, TheExtremeOfInfinitiesIsInfinite) {
  for (const std::string op : {"ReduceMax", "ReduceMin"}) {
    const float infinity = op == "ReduceMax" ? -HUGE_VALF : HUGE_VALF;
    model::Graph graph;
    graph.name = "extreme";
    graph.ir_version = 8;
    graph.opsets[""] = 17;
    graph.inputs = {{"x", DType::kF32, {-1, 2}, {"rows", ""}}};
    graph.outputs = {{"y", DType::kF32, {-1}, {"rows"}}};
    graph.nodes = {
        MakeNode(op, "reduce", {"x"}, {"y"}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}})};
    const auto session = Session::Make(graph, {});
    EXPECT_EQ(session->plan().size(), 1u);
    const std::vector<float> rows = {infinity, infinity, infinity, 5, 1, 2, -infinity, 0};
    const Tensor y = session->Run({{"x", Tensor::From<float>({4, 2}, rows)}}).at("y");
    const bool largest = op == "ReduceMax";
    EXPECT_THAT(y.As<float>(), testing::ElementsAre(infinity, 5, largest ? 2 : 1, -infinity)) << op;
  }
}

}  // namespace
}  // namespace strop::engine
