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
