#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_error.h"
#include "strop/model/graph.h"
#include "strop/model/test_graph.h"

// What every rule answers is compared with the shapes of real runs in tests/test_model.py.
namespace strop::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The first half of the demo's network, with a dynamic batch.
Graph Demo() {
  Graph graph = NewGraph(20, {{"image", DType::kU8, {-1, 1, 28, 28}, {"batch", "", "", ""}}},
                         {{"logits", DType::kF32, {-1, 10}, {"batch", ""}}});
  graph.initializers["scale"] = Floats({}, {255});
  graph.initializers["w"] = Floats({16, 1, 3, 3}, std::vector<float>(144, 1));
  graph.initializers["w2"] = Floats({10, 3136}, std::vector<float>(31360, 1));
  const std::vector<int64_t> pads = {1, 1, 1, 1}, two = {2, 2};
  graph.nodes = {MakeNode("Cast", {"image"}, {"f"}, {{"to", int64_t{1}}}),
                 MakeNode("Div", {"f", "scale"}, {"x"}),
                 MakeNode("Conv", {"x", "w"}, {"c"}, {{"pads", pads}}),
                 MakeNode("MaxPool", {"c"}, {"p"}, {{"kernel_shape", two}, {"strides", two}}),
                 MakeNode("Flatten", {"p"}, {"flat"}),
                 MakeNode("Gemm", {"flat", "w2"}, {"logits"}, {{"transB", int64_t{1}}})};
  return graph;
}

TEST(InferShapes, CarriesTheBatchByName) {
  const auto values = InferShapes(Demo());
  EXPECT_EQ(values.at("f").dtype, DType::kF32);
  EXPECT_EQ(values.at("c").shape, (Shape{-1, 16, 28, 28}));
  EXPECT_EQ(values.at("p").shape, (Shape{-1, 16, 14, 14}));
  EXPECT_EQ(values.at("flat").shape, (Shape{-1, 3136}));
  EXPECT_THAT(values.at("logits").dim_names, ElementsAre("batch", ""));
  EXPECT_EQ(values.at("w").shape, (Shape{16, 1, 3, 3}));
}

TEST(InferShapes, GivenInputsFixIt) {
  const auto values = InferShapes(Demo(), {{"image", {8, 1, 28, 28}}});
  EXPECT_EQ(values.at("logits").shape, (Shape{8, 10}));
  EXPECT_THROW(InferShapes(Demo(), {{"image", {8, 3, 28, 28}}}), Error);
}

TEST(InferShapes, NamesTheNodeThatContradicts) {
  Graph graph = Demo();
  graph.initializers["w2"] = Floats({10, 100}, std::vector<float>(1000, 1));
  try {
    InferShapes(graph);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("node Gemm_logits (Gemm)"));
    EXPECT_THAT(error.what(), HasSubstr("[?,3136]"));
  }
}

// x.view(x.size(0), -1), as torch exports it.
TEST(InferShapes, FollowsSizesThroughShapeArithmetic) {
  Graph graph = NewGraph(13, {{"x", DType::kF32, {-1, 16, 7, 7}, {"batch", "", "", ""}}},
                         {{"y", DType::kF32, {}, {}, false}});
  graph.initializers["zero"] = Ints({0});
  graph.initializers["rest"] = Ints({-1});
  graph.nodes = {MakeNode("Shape", {"x"}, {"s"}), MakeNode("Gather", {"s", "zero"}, {"n"}),
                 MakeNode("Concat", {"n", "rest"}, {"to"}, {{"axis", int64_t{0}}}),
                 MakeNode("Reshape", {"x", "to"}, {"y"})};
  const auto values = InferShapes(graph);
  EXPECT_EQ(values.at("y").shape, (Shape{-1, 784}));
  EXPECT_THAT(values.at("y").dim_names, ElementsAre("batch", ""));
}

TEST(InferShapes, AValueBehindAnUnknownOperatorIsAbsent) {
  Graph graph = NewGraph(13, {{"x", DType::kF32, {2}, {}}}, {{"y", DType::kF32, {2}, {}}});
  graph.nodes = {MakeNode("Mystery", {"x"}, {"m"}), MakeNode("Relu", {"m"}, {"r"}),
                 MakeNode("Abs", {"x"}, {"y"})};
  const auto values = InferShapes(graph);
  EXPECT_FALSE(values.contains("m"));
  EXPECT_FALSE(values.contains("r"));
  EXPECT_EQ(values.at("y").shape, Shape{2});
}

TEST(InferShapes, ASlopeThatIsLargerThanItsInputIsRefused) {
  Graph graph = NewGraph(18, {{"x", DType::kF32, {2, 1}, {}}}, {{"y", DType::kF32, {2, 1}, {}}});
  graph.initializers["slope"] = Floats({4}, {1, 2, 3, 4});
  graph.nodes = {MakeNode("PRelu", {"x", "slope"}, {"y"})};
  EXPECT_THAT(Thrown([&] { InferShapes(graph); }).what(), HasSubstr("its slope is larger than its input"));
  graph.inputs[0].shape = {2, 4};
  EXPECT_EQ(InferShapes(graph).at("y").shape, (Shape{2, 4}));
}

TEST(InferShapes, RecurrentWeightsSuitTheirHiddenSize) {
  Graph graph = NewGraph(17, {{"x", DType::kF32, {7, -1, 2}, {"", "batch", ""}}},
                         {{"y", DType::kF32, {7, 1, -1, 3}, {"", "", "batch", ""}}});
  graph.initializers["w"] = Floats({1, 9, 2}, std::vector<float>(18));
  graph.initializers["r"] = Floats({1, 9, 3}, std::vector<float>(27));
  graph.nodes = {MakeNode("GRU", {"x", "w", "r"}, {"y", "h"}, {{"hidden_size", int64_t{3}}})};
  const auto values = InferShapes(graph);
  EXPECT_EQ(values.at("y").shape, (Shape{7, 1, -1, 3}));
  EXPECT_EQ(values.at("y").dim_names[2], "batch");
  EXPECT_EQ(values.at("h").shape, (Shape{1, -1, 3}));
  graph.nodes[0].attributes["hidden_size"] = int64_t{1000};
  EXPECT_THAT(Thrown([&] { InferShapes(graph); }).what(), HasSubstr("hidden_size is 1000, but R is of 3"));
  graph.nodes[0].attributes.clear();
  graph.nodes[0].op = "LSTM";
  EXPECT_THAT(Thrown([&] { InferShapes(graph); }).what(),
              HasSubstr("the input at position 1 is [1,9,2], expected [1,12,?]"));
}

}  // namespace
}  // namespace strop::model
