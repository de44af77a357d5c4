#include "strop/model/reference/evaluator.h"

#include <array>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_error.h"
#include "strop/model/test_graph.h"

// Known values are the examples of ONNX docs/Operators.md, by operator and example name; the whole of ONNX's
// node tests runs in tests/test_model.py.
namespace strop::model::reference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Tensor> Compute(const Node& node, int64_t opset, const std::vector<Tensor>& inputs) {
  return EvaluateNode(node, opset, inputs);
}

std::vector<float> Count(int n) {
  std::vector<float> values(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) values[static_cast<size_t>(i)] = static_cast<float>(i);
  return values;
}

// Conv, example "conv": 5x5 of 0..24, a 3x3 kernel of ones.
TEST(Reference, ConvWithPadding) {
  const Tensor x = Floats({1, 1, 5, 5}, Count(25)), w = Floats({1, 1, 3, 3}, std::vector<float>(9, 1));
  const Node node =
      MakeNode("Conv", {"x", "w"}, {"y"},
               {{"kernel_shape", std::vector<int64_t>{3, 3}}, {"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  const Tensor y = Compute(node, 11, {x, w})[0];
  EXPECT_EQ(y.shape(), (Shape{1, 1, 5, 5}));
  EXPECT_THAT(Values(y), ElementsAre(12, 21, 27, 33, 24, 33, 54, 63, 72, 51, 63, 99, 108, 117, 81, 93, 144,
                                     153, 162, 111, 72, 111, 117, 123, 84));
  const Tensor inner = Compute(MakeNode("Conv", {"x", "w"}, {"y"}), 11, {x, w})[0];
  EXPECT_THAT(Values(inner), ElementsAre(54, 63, 72, 99, 108, 117, 144, 153, 162));
}

// Conv, example "conv_with_autopad_same".
TEST(Reference, ConvSameLower) {
  const Tensor x = Floats({1, 1, 5, 5}, Count(25)), w = Floats({1, 1, 3, 3}, std::vector<float>(9, 1));
  const Node node =
      MakeNode("Conv", {"x", "w"}, {"y"},
               {{"auto_pad", std::string("SAME_LOWER")}, {"strides", std::vector<int64_t>{2, 2}}});
  EXPECT_THAT(Values(Compute(node, 11, {x, w})[0]), ElementsAre(12, 27, 24, 63, 108, 81, 72, 117, 84));
}

// Beyond the node tests: 64 bits, and both ends of what is outside.
TEST(Reference, ShiftsOverTheWidth) {
  const Node right = MakeNode("BitShift", {"x", "by"}, {"y"}, {{"direction", std::string("RIGHT")}});
  const Node left = MakeNode("BitShift", {"x", "by"}, {"y"}, {{"direction", std::string("LEFT")}});
  const std::vector<Tensor> inputs = {Ints({-9, 9, -1, 3}), Ints({1, 63, 64, -1})};
  EXPECT_THAT(Values(Compute(right, 11, inputs)[0]), ElementsAre(-5, 0, -1, 0));
  EXPECT_THAT(Compute(left, 11, inputs)[0].As<int64_t>(), ElementsAre(-18, INT64_MIN, 0, 0));
}

// The lower index first among equals, from either end, integers and NaN.
TEST(Reference, TopKOfEquals) {
  const Node most = MakeNode("TopK", {"x", "k"}, {"v", "i"});
  const Node least = MakeNode("TopK", {"x", "k"}, {"v", "i"}, {{"largest", int64_t{0}}});
  const std::vector<Tensor> numbers = {Ints({4, 7, 7, 4}), Ints({3})};
  EXPECT_THAT(Values(Compute(most, 11, numbers)[1]), ElementsAre(1, 2, 0));
  EXPECT_THAT(Values(Compute(least, 11, numbers)[1]), ElementsAre(0, 3, 1));
  const Tensor x = Floats({4}, {1, NAN, 2, NAN});
  EXPECT_THAT(Values(Compute(most, 11, {x, Ints({3})})[1]), ElementsAre(1, 3, 2));
  EXPECT_THAT(Values(Compute(least, 11, {x, Ints({3})})[1]), ElementsAre(0, 2, 1));
}

// Opset 10 has its scales at position 1 and maps places as asymmetric does, rounded down.
TEST(Reference, ResizeOfOpset10) {
  const Node node = MakeNode("Resize", {"x", "scales"}, {"y"});
  const Tensor y = Compute(node, 10, {Floats({1, 1, 1, 3}, {1, 2, 3}), Floats({4}, {1, 1, 1, 2})})[0];
  EXPECT_THAT(Values(y), ElementsAre(1, 1, 2, 2, 3, 3));
}

// MaxPool, examples "maxpool_2d_ceil" and "maxpool_with_argmax_2d_precomputed_pads".
TEST(Reference, MaxPoolCeilAndIndices) {
  std::vector<float> values = Count(17);
  values.erase(values.begin());
  const Node ceil = MakeNode("MaxPool", {"x"}, {"y"},
                             {{"kernel_shape", std::vector<int64_t>{3, 3}},
                              {"strides", std::vector<int64_t>{2, 2}},
                              {"ceil_mode", int64_t{1}}});
  EXPECT_THAT(Values(Compute(ceil, 12, {Floats({1, 1, 4, 4}, values)})[0]), ElementsAre(11, 12, 15, 16));
  values = Count(26);
  values.erase(values.begin());
  const Node indices =
      MakeNode("MaxPool", {"x"}, {"y", "at"},
               {{"kernel_shape", std::vector<int64_t>{5, 5}}, {"pads", std::vector<int64_t>{2, 2, 2, 2}}});
  const auto results = Compute(indices, 12, {Floats({1, 1, 5, 5}, values)});
  EXPECT_THAT(Values(results[0]), ElementsAre(13, 14, 15, 15, 15, 18, 19, 20, 20, 20, 23, 24, 25, 25, 25, 23,
                                              24, 25, 25, 25, 23, 24, 25, 25, 25));
  EXPECT_THAT(Values(results[1]), ElementsAre(12, 13, 14, 14, 14, 17, 18, 19, 19, 19, 22, 23, 24, 24, 24, 22,
                                              23, 24, 24, 24, 22, 23, 24, 24, 24));
}

// AveragePool, example "averagepool_2d_precomputed_pads_count_include_pad": the first row.
TEST(Reference, AveragePoolCountsPads) {
  std::vector<float> values = Count(26);
  values.erase(values.begin());
  const Node node = MakeNode("AveragePool", {"x"}, {"y"},
                             {{"kernel_shape", std::vector<int64_t>{5, 5}},
                              {"pads", std::vector<int64_t>{2, 2, 2, 2}},
                              {"count_include_pad", int64_t{1}}});
  const auto y = Values(Compute(node, 11, {Floats({1, 1, 5, 5}, values)})[0]);
  const std::array<double, 5> first = {2.52, 3.6, 4.8, 4.08, 3.24};
  for (size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(y[i], first[i], 1e-6);
}

TEST(Reference, GemmWithEverything) {
  const Node node =
      MakeNode("Gemm", {"a", "b", "c"}, {"y"},
               {{"alpha", 0.25f}, {"beta", 0.35f}, {"transA", int64_t{1}}, {"transB", int64_t{1}}});
  const Tensor a = Floats({2, 1}, {1, 2}), b = Floats({3, 2}, {1, 2, 3, 4, 5, 6}),
               c = Floats({1, 3}, {10, 20, 30});
  const auto y = Values(Compute(node, 13, {a, b, c})[0]);
  EXPECT_NEAR(y[0], 0.25 * 5 + 3.5, 1e-6);
  EXPECT_NEAR(y[1], 0.25 * 11 + 7, 1e-6);
  EXPECT_NEAR(y[2], 0.25 * 17 + 10.5, 1e-6);
}

// Softmax, example "softmax_axis", large values: [0..3] and 10000 + [0..3] alike.
TEST(Reference, SoftmaxBeforeAndSinceOpset13) {
  const Tensor x = Floats({2, 4}, {0, 1, 2, 3, 10000, 10001, 10002, 10003});
  const auto y = Values(Compute(MakeNode("Softmax", {"x"}, {"y"}), 13, {x})[0]);
  const std::array<double, 4> row = {0.032058604, 0.08714432, 0.23688284, 0.6439143};
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(y[i], row[i % 4], 1e-6);
  // Before, all axes from `axis` on were one: over [1,2,2] the four elements sum to 1.
  const auto flat =
      Values(Compute(MakeNode("Softmax", {"x"}, {"y"}), 11, {Floats({1, 2, 2}, {0, 1, 2, 3})})[0]);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(flat[i], row[i], 1e-6);
  const auto last =
      Values(Compute(MakeNode("Softmax", {"x"}, {"y"}), 13, {Floats({1, 2, 2}, {0, 1, 2, 3})})[0]);
  EXPECT_NEAR(last[0] + last[1], 1, 1e-6);
}

// QuantizeLinear, examples "quantizelinear" and "axis".
TEST(Reference, QuantizeLinear) {
  const std::array<uint8_t, 1> zero = {128};
  const Tensor y = Compute(
      MakeNode("QuantizeLinear", {"x", "s", "z"}, {"y"}), 10,
      {Floats({6}, {0, 2, 3, 1000, -254, -1000}), Floats({}, {2}), Tensor::From<uint8_t>({}, zero)})[0];
  EXPECT_EQ(y.dtype(), DType::kU8);
  EXPECT_THAT(Values(y), ElementsAre(128, 129, 130, 255, 1, 0));
  const std::array<uint8_t, 3> zeros = {84, 24, 196};
  const Tensor x = Floats({1, 3, 3, 2}, {-162, 10, -100, 232, -20, -50, -76, 0, 0, 252, 32, -44, 245, -485,
                                         -960, -270, -375, -470});
  const Tensor per_axis = Compute(MakeNode("QuantizeLinear", {"x", "s", "z"}, {"y"}), 13,
                                  {x, Floats({3}, {2, 4, 5}), Tensor::From<uint8_t>({3}, zeros)})[0];
  EXPECT_THAT(Values(per_axis),
              ElementsAre(3, 89, 34, 200, 74, 59, 5, 24, 24, 87, 32, 13, 245, 99, 4, 142, 121, 102));
}

// Halves go to the even neighbour: docs/Operators.md, "Rounding to nearest even".
TEST(Reference, QuantizeRoundsHalfToEven) {
  const std::array<int8_t, 1> zero = {0};
  const Tensor y =
      Compute(MakeNode("QuantizeLinear", {"x", "s", "z"}, {"y"}), 10,
              {Floats({4}, {0.5f, 1.5f, 2.5f, -2.5f}), Floats({}, {1}), Tensor::From<int8_t>({}, zero)})[0];
  EXPECT_THAT(Values(y), ElementsAre(0, 2, 2, -2));
}

TEST(Reference, ReshapeZeroCopiesUnlessAllowed) {
  const Tensor x = Floats({2, 3, 4}, Count(24));
  EXPECT_EQ(Compute(MakeNode("Reshape", {"x", "s"}, {"y"}), 14, {x, Ints({0, -1})})[0].shape(),
            (Shape{2, 12}));
  const Node zero = MakeNode("Reshape", {"x", "s"}, {"y"}, {{"allowzero", int64_t{1}}});
  EXPECT_EQ(Compute(zero, 14, {Floats({0, 3}, {}), Ints({3, 0})})[0].shape(), (Shape{3, 0}));
  EXPECT_THROW(Compute(MakeNode("Reshape", {"x", "s"}, {"y"}), 14, {x, Ints({5, -1})}), Error);
}

TEST(Reference, AttributesThatBecameInputs) {
  const Tensor x = Floats({1, 3}, {-5, 0, 5});
  EXPECT_THAT(Values(Compute(MakeNode("Clip", {"x"}, {"y"}, {{"min", -1.0f}}), 6, {x})[0]),
              ElementsAre(-1, 0, 5));
  EXPECT_THAT(Values(Compute(MakeNode("Clip", {"x", "", "h"}, {"y"}), 11, {x, Tensor(), Floats({}, {2})})[0]),
              ElementsAre(-5, 0, 2));
  const Node old = MakeNode("Squeeze", {"x"}, {"y"}, {{"axes", std::vector<int64_t>{0}}});
  EXPECT_EQ(Compute(old, 11, {x})[0].shape(), Shape{3});
  EXPECT_EQ(Compute(MakeNode("Squeeze", {"x", "a"}, {"y"}), 13, {x, Ints({0})})[0].shape(), Shape{3});
}

TEST(Reference, IntegersKeepTheirTypeAndWrap) {
  const std::array<uint8_t, 2> a = {250, 3}, b = {10, 5};
  const Tensor x = Tensor::From<uint8_t>({2}, a), y = Tensor::From<uint8_t>({2}, b);
  EXPECT_THAT(Values(Compute(MakeNode("Add", {"x", "y"}, {"z"}), 14, {x, y})[0]), ElementsAre(4, 8));
  EXPECT_THAT(Values(Compute(MakeNode("Sub", {"x", "y"}, {"z"}), 14, {x, y})[0]), ElementsAre(240, 254));
  EXPECT_THROW(Compute(MakeNode("Div", {"x", "y"}, {"z"}), 14, {Ints({1}), Ints({0})}), Error);
  EXPECT_THAT(Values(Compute(MakeNode("Div", {"x", "y"}, {"z"}), 14, {Ints({INT64_MIN}), Ints({-1})})[0]),
              ElementsAre(static_cast<double>(INT64_MIN)));
}

TEST(Reference, Supports) {
  EXPECT_TRUE(Supports(MakeNode("Conv", {"x", "w"}, {"y"}), 7));
  EXPECT_TRUE(Supports(MakeNode("Add", {"x", "w"}, {"y"}), 7));
  EXPECT_FALSE(Supports(MakeNode("Add", {"x", "w"}, {"y"}), 6)) << "broadcasting by attribute";
  EXPECT_FALSE(Supports(MakeNode("Loop", {"x"}, {"y"}), 17));
  Node foreign = MakeNode("Add", {"x", "w"}, {"y"});
  foreign.domain = "com.example";
  EXPECT_FALSE(Supports(foreign, 17));
}

Graph Halves() {
  Graph graph =
      NewGraph(17, {{"x", DType::kF32, {-1, 2}, {"n", ""}}}, {{"y", DType::kF32, {-1, 2}, {"n", ""}}});
  graph.initializers["half"] = Floats({}, {0.5f});
  graph.nodes = {MakeNode("Mul", {"x", "half"}, {"h"}), MakeNode("Loop", {"h"}, {"unused"}),
                 MakeNode("Relu", {"h"}, {"y"})};
  return graph;
}

TEST(Reference, EvaluateGivesAnyValueAndSkipsWhatIsNotNeeded) {
  const TensorMap answer = Evaluate(Halves(), {{"x", Floats({1, 2}, {-4, 4})}}, {"h", "y"});
  EXPECT_THAT(Values(answer.at("h")), ElementsAre(-2, 2));
  EXPECT_THAT(Values(answer.at("y")), ElementsAre(0, 2));
}

TEST(Reference, EvaluateNamesWhatIsWrong) {
  const auto message = [](const TensorMap& inputs, const std::vector<std::string>& wanted = {}) {
    try {
      Evaluate(Halves(), inputs, wanted);
    } catch (const Error& error) {
      return std::string(CodeName(error.code())) + " " + error.what();
    }
    return std::string("nothing");
  };
  EXPECT_EQ(message({}), "invalid_argument the input x is missing");
  EXPECT_EQ(message({{"x", Floats({3}, {1, 2, 3})}}),
            "invalid_argument the input x is float32[3], expected float32[?,2]");
  EXPECT_EQ(message({{"x", Ints({1})}}), "invalid_argument the input x is int64[1], expected float32[?,2]");
  EXPECT_THAT(message({{"x", Floats({1, 2}, {1, 2})}}, {"unused"}),
              HasSubstr("unsupported node Loop_unused"));
  EXPECT_THAT(message({{"x", Floats({1, 2}, {1, 2})}}, {"nowhere"}), HasSubstr("no value nowhere"));
}

TEST(Reference, ABlockWhoseSquareOverflowsIsRefused) {
  for (const char* op : {"DepthToSpace", "SpaceToDepth"}) {
    model::Node node = MakeNode(op, {"x"}, {"y"});
    node.attributes["blocksize"] = int64_t{1} << 32;
    EXPECT_THAT(Thrown([&] {
                  Compute(node, 17, {Floats({1, 4, 1, 1}, {1, 2, 3, 4})});
                }).what(),
                HasSubstr("blocks of 4294967296"));
  }
}

TEST(Reference, AnInputOfAnotherTypeIsTheModelsFault) {
  const Error error = Thrown([] {
    Compute(MakeNode("Where", {"c", "x", "y"}, {"z"}), 17, {Ints({1}), Floats({1}, {1}), Floats({1}, {2})});
  });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("node Where_z (Where): it does not take its inputs' types"));
}

}  // namespace
}  // namespace strop::model::reference
