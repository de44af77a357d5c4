#include "strop/train/module.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/model/reference/evaluator.h"

namespace strop::train {
namespace {

using model::Graph;
using model::Node;

Tensor Random(const Shape& shape, Rng& rng, double scale = 1) {
  Tensor tensor = Tensor::New(DType::kF32, shape);
  for (float& value : tensor.As<float>()) value = static_cast<float>(rng.Normal() * scale);
  return tensor;
}

Tensor Bytes(const Shape& shape, Rng& rng) {
  Tensor tensor = Tensor::New(DType::kU8, shape);
  for (uint8_t& value : tensor.As<uint8_t>()) value = static_cast<uint8_t>(rng.Below(256));
  return tensor;
}

Tensor Labels(int64_t rows, int64_t classes, Rng& rng) {
  Tensor tensor = Tensor::New(DType::kI64, {rows});
  for (int64_t& value : tensor.As<int64_t>())
    value = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(classes)));
  return tensor;
}

Node MakeNode(const std::string& op, std::vector<std::string> inputs, const std::string& output,
              std::map<std::string, model::Attribute> attributes = {}) {
  Node node;
  node.op = op;
  node.name = op + "_" + output;
  node.inputs = std::move(inputs);
  node.outputs = {output};
  node.attributes = std::move(attributes);
  return node;
}

model::ValueInfo Value(const std::string& name, DType dtype, Shape shape) {
  model::ValueInfo info;
  info.name = name;
  info.dtype = dtype;
  info.dim_names.resize(shape.size());
  info.shape = std::move(shape);
  return info;
}

using Ints = std::vector<int64_t>;

// The demo's operators, small: uint8 image -> Cast, Div, Conv, Relu, MaxPool, Conv, Relu, MaxPool, Flatten,
// Gemm, Relu, Gemm.
Graph DemoGraph(uint64_t seed) {
  Rng rng(seed);
  Graph graph;
  graph.name = "demo";
  graph.opsets = {{"", 17}};
  graph.inputs = {Value("image", DType::kU8, {-1, 1, 8, 8})};
  graph.outputs = {Value("logits", DType::kF32, {-1, 3})};
  graph.metadata = {{"strop.penultimate", "r3"}};
  graph.initializers = {{"c255", Tensor::From<float>({}, std::vector<float>{255.F})},
                        {"w1", Random({4, 1, 3, 3}, rng, 0.4)},
                        {"b1", Random({4}, rng, 0.1)},
                        {"w2", Random({6, 2, 3, 3}, rng, 0.3)},
                        {"b2", Random({6}, rng, 0.1)},
                        {"w3", Random({5, 24}, rng, 0.3)},
                        {"b3", Random({5}, rng, 0.1)},
                        {"w4", Random({3, 5}, rng, 0.5)},
                        {"b4", Random({3}, rng, 0.1)}};
  const std::map<std::string, model::Attribute> pool = {{"kernel_shape", Ints{2, 2}},
                                                        {"strides", Ints{2, 2}}};
  const std::map<std::string, model::Attribute> trans = {{"transB", int64_t{1}}};
  graph.nodes = {
      MakeNode("Cast", {"image"}, "f", {{"to", int64_t{1}}}),
      MakeNode("Div", {"f", "c255"}, "x"),
      MakeNode("Conv", {"x", "w1", "b1"}, "y1", {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}}),
      MakeNode("Relu", {"y1"}, "r1"),
      MakeNode("MaxPool", {"r1"}, "p1", pool),
      MakeNode("Conv", {"p1", "w2", "b2"}, "y2",
               {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{2}}}),
      MakeNode("Relu", {"y2"}, "r2"),
      MakeNode("MaxPool", {"r2"}, "p2", pool),
      MakeNode("Flatten", {"p2"}, "flat"),
      MakeNode("Gemm", {"flat", "w3", "b3"}, "y3", trans),
      MakeNode("Relu", {"y3"}, "r3"),
      MakeNode("Gemm", {"r3", "w4", "b4"}, "logits", trans),
  };
  graph.Validate();
  return graph;
}

// Every parameter's gradient against central differences, computed in double so that the difference is not
// rounding.
void ExpectGradientsMatchDifferences(const Graph& graph, const TensorMap& inputs, const Tensor& labels) {
  const auto module = Module::Make(graph);
  const TensorMap gradients = module->Gradients(inputs, labels);
  ASSERT_FALSE(module->parameters().empty());
  for (const std::string& name : module->parameters()) {
    const Tensor original = module->Parameter(name);
    const Tensor& gradient = gradients.at(name);
    for (int64_t i = 0; i < original.size(); i += std::max<int64_t>(1, original.size() / 7)) {
      const auto loss_at = [&](double delta) {
        Tensor moved = original.Clone();
        moved.As<double>()[static_cast<size_t>(i)] += delta;
        module->SetParameter(name, moved);
        return module->Loss(inputs, labels);
      };
      const double step = 1e-6;
      const double difference = (loss_at(step) - loss_at(-step)) / (2 * step);
      module->SetParameter(name, original);
      EXPECT_NEAR(gradient.As<double>()[static_cast<size_t>(i)], difference,
                  1e-6 + 1e-5 * std::abs(difference))
          << name << "[" << i << "]";
    }
  }
}

// The same graph computing in double.
Graph InDouble(Graph graph) {
  for (auto& [name, tensor] : graph.initializers) {
    if (tensor.dtype() == DType::kF32) tensor = tensor.Cast(DType::kF64);
  }
  for (Node& node : graph.nodes) {
    if (node.op == "Cast") node.attributes["to"] = int64_t{11};
  }
  for (model::ValueInfo& input : graph.inputs) {
    if (input.dtype == DType::kF32) input.dtype = DType::kF64;
  }
  return graph;
}

TEST(Module, ForwardAgreesWithTheReferenceEvaluator) {
  Rng rng(7);
  const Graph graph = DemoGraph(1);
  const TensorMap inputs = {{"image", Bytes({5, 1, 8, 8}, rng)}};
  const Tensor got = Module::Make(graph)->Forward(inputs).at("logits");
  const Tensor want = model::reference::Evaluate(graph, inputs).at("logits");
  ASSERT_EQ(got.shape(), want.shape());
  for (size_t i = 0; i < got.As<float>().size(); ++i)
    EXPECT_NEAR(got.As<float>()[i], want.As<float>()[i], 1e-5);
}

TEST(Module, TrainsWeightsAndLeavesPreprocessingAlone) {
  EXPECT_THAT(Module::Make(DemoGraph(1))->parameters(),
              testing::ElementsAre("w1", "b1", "w2", "b2", "w3", "b3", "w4", "b4"));
}

TEST(Module, GradientsOfTheDemoMatchFiniteDifferences) {
  Rng rng(3);
  ExpectGradientsMatchDifferences(InDouble(DemoGraph(2)), {{"image", Bytes({6, 1, 8, 8}, rng)}},
                                  Labels(6, 3, rng));
}

// Strides, dilations, pads that differ at both ends, groups, batch normalization, average pools, Clip, MatMul
// with a bias Add, Softmax at the end.
TEST(Module, GradientsOfTheOtherOperatorsMatchFiniteDifferences) {
  Rng rng(11);
  Graph graph;
  graph.opsets = {{"", 17}};
  graph.inputs = {Value("x", DType::kF32, {-1, 2, 9, 9})};
  graph.outputs = {Value("p", DType::kF32, {-1, 4})};
  graph.initializers = {{"w", Random({4, 1, 3, 2}, rng, 0.4)},
                        {"scale", Random({4}, rng)},
                        {"shift", Random({4}, rng)},
                        {"mean", Random({4}, rng, 0.1)},
                        {"variance", Tensor::From<float>({4}, std::vector<float>{0.5F, 1, 1.5F, 2})},
                        {"low", Tensor::From<float>({}, std::vector<float>{-4})},
                        {"high", Tensor::From<float>({}, std::vector<float>{4})},
                        {"m", Random({4, 4}, rng)},
                        {"bias", Random({4}, rng)},
                        {"shape", Tensor::From<int64_t>({2}, std::vector<int64_t>{0, -1})}};
  graph.nodes = {
      MakeNode("Conv", {"x", "w"}, "c",
               {{"kernel_shape", Ints{3, 2}},
                {"strides", Ints{2, 1}},
                {"dilations", Ints{1, 2}},
                {"pads", Ints{1, 0, 0, 2}},
                {"group", int64_t{2}}}),
      MakeNode("BatchNormalization", {"c", "scale", "shift", "mean", "variance"}, "n"),
      MakeNode("Clip", {"n", "low", "high"}, "k"),
      MakeNode("AveragePool", {"k"}, "a", {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}),
      MakeNode("Sigmoid", {"a"}, "s"),
      MakeNode("Tanh", {"s"}, "t"),
      MakeNode("GlobalAveragePool", {"t"}, "g"),
      MakeNode("Reshape", {"g", "shape"}, "r"),
      MakeNode("MatMul", {"r", "m"}, "mm"),
      MakeNode("Add", {"mm", "bias"}, "z"),
      MakeNode("Softmax", {"z"}, "p", {{"axis", int64_t{-1}}}),
  };
  graph.Validate();
  const Tensor x = Random({3, 2, 9, 9}, rng);
  EXPECT_THAT(Module::Make(graph)->parameters(), testing::ElementsAre("w", "scale", "shift", "m", "bias"));

  const Tensor got = Module::Make(graph)->Forward({{"x", x}}).at("p");
  const Tensor want = model::reference::Evaluate(graph, {{"x", x}}).at("p");
  ASSERT_EQ(got.shape(), want.shape());
  for (size_t i = 0; i < got.As<float>().size(); ++i)
    EXPECT_NEAR(got.As<float>()[i], want.As<float>()[i], 1e-5);

  ExpectGradientsMatchDifferences(InDouble(graph), {{"x", x.Cast(DType::kF64)}}, Labels(3, 4, rng));
}

TEST(Module, LossOfAModelThatEndsInSoftmaxIsTakenBeforeIt) {
  Rng rng(5);
  Graph graph = DemoGraph(4);
  const TensorMap inputs = {{"image", Bytes({4, 1, 8, 8}, rng)}};
  const Tensor labels = Labels(4, 3, rng);
  const double plain = Module::Make(graph)->Loss(inputs, labels);
  graph.nodes.push_back(MakeNode("Softmax", {"logits"}, "probabilities", {{"axis", int64_t{1}}}));
  graph.outputs = {Value("probabilities", DType::kF32, {-1, 3})};
  EXPECT_DOUBLE_EQ(Module::Make(graph)->Loss(inputs, labels), plain);
}

TEST(Module, FloatLabelsGiveTheMeanSquaredError) {
  Graph graph;
  graph.opsets = {{"", 17}};
  graph.inputs = {Value("x", DType::kF32, {-1, 1})};
  graph.outputs = {Value("y", DType::kF32, {-1, 1})};
  graph.initializers = {{"w", Tensor::From<float>({1, 1}, std::vector<float>{2})}};
  graph.nodes = {MakeNode("MatMul", {"x", "w"}, "y")};
  const TensorMap inputs = {{"x", Tensor::From<float>({2, 1}, std::vector<float>{1, 3})}};
  // Predictions 2 and 6 for 1 and 4: (1 + 4) / 2.
  EXPECT_DOUBLE_EQ(Module::Make(graph)->Loss(inputs, Tensor::From<float>({2}, std::vector<float>{1, 4})),
                   2.5);
}

template <class Call>
void ExpectError(Code code, const std::string& part, Call call) {
  try {
    call();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), testing::HasSubstr(part));
  }
}

TEST(Module, AnUnknownOperatorIsNamedWithItsNode) {
  Graph graph = DemoGraph(1);
  graph.nodes[3].op = "Einsum";
  ExpectError(Code::kUnsupported, "'Einsum' of node 'Relu_r1'", [&] { Module::Make(graph); });
}

TEST(Module, ALabelOutsideTheClassesIsNamed) {
  Rng rng(1);
  const auto module = Module::Make(DemoGraph(1));
  const TensorMap inputs = {{"image", Bytes({2, 1, 8, 8}, rng)}};
  ExpectError(Code::kInvalidArgument, "label 3 is outside 0 to 2", [&] {
    module->Loss(inputs, Tensor::From<int64_t>({2}, std::vector<int64_t>{0, 3}));
  });
}

TEST(Module, AWrongShapeNamesTheNode) {
  Rng rng(1);
  const auto module = Module::Make(DemoGraph(1));
  ExpectError(Code::kInvalidArgument, "Gemm_y3", [&] {
    module->Forward({{"image", Bytes({2, 1, 9, 20}, rng)}});
  });
}

}  // namespace
}  // namespace strop::train
