#include "strop/model/passes.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/model/reference/evaluator.h"
#include "strop/model/test_graph.h"

namespace strop::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Ops(const Graph& graph) {
  std::vector<std::string> ops;
  for (const Node& node : graph.nodes) ops.push_back(node.op);
  return ops;
}

Tensor Random(Rng& rng, Shape shape, double low = -1, double high = 1) {
  Tensor tensor = Tensor::New(DType::kF32, std::move(shape));
  for (float& value : tensor.As<float>()) value = static_cast<float>(low + (high - low) * rng.Uniform());
  return tensor;
}

void ExpectSame(const Graph& a, const Graph& b, const TensorMap& inputs) {
  const TensorMap left = reference::Evaluate(a, inputs), right = reference::Evaluate(b, inputs);
  ASSERT_EQ(left.size(), right.size());
  for (const auto& [name, tensor] : left) {
    const auto x = Values(tensor), y = Values(right.at(name));
    ASSERT_EQ(x.size(), y.size());
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 1e-4) << name << " " << i;
  }
}

void AddBatchNorm(Graph& graph, Rng& rng, int64_t channels, const std::string& from, const std::string& to) {
  graph.initializers["scale"] = Random(rng, {channels});
  graph.initializers["shift"] = Random(rng, {channels});
  graph.initializers["mean"] = Random(rng, {channels});
  graph.initializers["variance"] = Random(rng, {channels}, 0.5, 2);
  graph.nodes.push_back(MakeNode("BatchNormalization", {from, "scale", "shift", "mean", "variance"}, {to}));
}

// Conv with and without bias, Gemm with either layout of its weights.
TEST(FoldBatchNorm, KeepsWhatIsComputed) {
  for (const bool bias : {false, true}) {
    Rng rng(1, bias);
    Graph graph = NewGraph(17, {{"x", DType::kF32, {2, 3, 5, 5}, {}}}, {{"y", DType::kF32, {}, {}, false}});
    graph.initializers["w"] = Random(rng, {4, 3, 3, 3});
    graph.initializers["b"] = Random(rng, {4});
    graph.nodes = {MakeNode(
        "Conv", bias ? std::vector<std::string>{"x", "w", "b"} : std::vector<std::string>{"x", "w"}, {"c"})};
    AddBatchNorm(graph, rng, 4, "c", "y");
    Graph folded = graph;
    FoldBatchNorm(folded);
    EXPECT_THAT(Ops(folded), ElementsAre("Conv"));
    folded.Validate();
    ExpectSame(graph, folded, {{"x", Random(rng, {2, 3, 5, 5})}});
  }
  for (const int64_t transposed : {0, 1}) {
    Rng rng(2, static_cast<uint64_t>(transposed));
    Graph graph = NewGraph(17, {{"x", DType::kF32, {6, 3}, {}}}, {{"y", DType::kF32, {}, {}, false}});
    graph.initializers["w"] = Random(rng, transposed ? Shape{4, 3} : Shape{3, 4});
    graph.initializers["b"] = Random(rng, {1, 4});
    graph.nodes = {
        MakeNode("Gemm", {"x", "w", "b"}, {"c"}, {{"transB", transposed}, {"alpha", 0.5f}, {"beta", 2.0f}})};
    AddBatchNorm(graph, rng, 4, "c", "y");
    Graph folded = graph;
    FoldBatchNorm(folded);
    EXPECT_THAT(Ops(folded), ElementsAre("Gemm"));
    ExpectSame(graph, folded, {{"x", Random(rng, {6, 3})}});
  }
}

TEST(FoldBatchNorm, LeavesALayerThatOthersRead) {
  Rng rng(3);
  Graph graph = NewGraph(17, {{"x", DType::kF32, {1, 2, 4, 4}, {}}}, {{"y", DType::kF32, {}, {}, false}});
  graph.initializers["w"] = Random(rng, {2, 2, 1, 1});
  graph.nodes = {MakeNode("Conv", {"x", "w"}, {"c"})};
  AddBatchNorm(graph, rng, 2, "c", "n");
  graph.nodes.push_back(MakeNode("Add", {"c", "n"}, {"y"}));
  const Graph before = graph;
  FoldBatchNorm(graph);
  EXPECT_EQ(Ops(graph), Ops(before));
  graph.nodes.pop_back();
  graph.outputs[0].name = "n";
  graph.metadata["strop.penultimate"] = "c";
  FoldBatchNorm(graph);
  EXPECT_EQ(graph.nodes.size(), 2u) << "a tapped value stays";
}

TEST(FoldConstants, EvaluatesShapeArithmetic) {
  Graph graph =
      NewGraph(17, {{"x", DType::kF32, {-1, 2, 3}, {"n", "", ""}}}, {{"y", DType::kF32, {-1, 6}, {"n", ""}}});
  graph.initializers["two"] = Ints({2});
  graph.initializers["three"] = Ints({3});
  graph.initializers["rest"] = Ints({-1});
  graph.nodes = {MakeNode("Mul", {"two", "three"}, {"six"}),
                 MakeNode("Concat", {"rest", "six"}, {"shape"}, {{"axis", int64_t{0}}}),
                 MakeNode("Reshape", {"x", "shape"}, {"y"})};
  const Graph before = graph;
  Simplify(graph);
  EXPECT_THAT(Ops(graph), ElementsAre("Reshape"));
  EXPECT_THAT(Values(graph.initializers.at("shape")), ElementsAre(-1, 6));
  EXPECT_EQ(graph.initializers.size(), 1u);
  Rng rng(4);
  ExpectSame(before, graph, {{"x", Random(rng, {2, 2, 3})}});
}

TEST(FoldConstants, DoesNotBlowUpTheFileOrUndoQuantization) {
  Graph graph = NewGraph(21, {{"x", DType::kF32, {1, 4}, {}}},
                         {{"big", DType::kF32, {4096, 4096}, {}}, {"y", DType::kF32, {1, 4}, {}}});
  graph.initializers["sizes"] = Ints({4096, 4096});
  const std::vector<int8_t> weights(16, 3);
  graph.initializers["w"] = Tensor::From<int8_t>({4, 4}, std::span<const int8_t>(weights));
  graph.packed4.insert("w");
  graph.initializers["scale"] = Floats({}, {0.5f});
  graph.nodes = {MakeNode("ConstantOfShape", {"sizes"}, {"big"}),
                 MakeNode("DequantizeLinear", {"w", "scale"}, {"f"}), MakeNode("MatMul", {"x", "f"}, {"y"})};
  FoldConstants(graph);
  EXPECT_THAT(Ops(graph), ElementsAre("ConstantOfShape", "DequantizeLinear", "MatMul"));
}

// x [batch, length, 12] to a target of Concat of its sizes and of numbers, as PyTorch exports view().
Graph Viewed(const std::vector<std::string>& sizes, const Shape& answer) {
  Graph graph = NewGraph(17, {{"x", DType::kF32, {-1, -1, 12}, {"batch", "length", ""}}},
                         {{"y", DType::kF32, answer, {}}});
  const auto number = [&](const std::string& name, int64_t value) {
    graph.initializers[name] = Tensor::From<int64_t>({1}, std::vector<int64_t>{value});
  };
  for (const int64_t value : {0, 1, 2, 3, 4, 12}) number(std::to_string(value), value);
  number("-1", -1);
  graph.nodes = {MakeNode("Shape", {"x"}, {"s"}),
                 MakeNode("Gather", {"s", "0"}, {"batch"}),
                 MakeNode("Gather", {"s", "1"}, {"length"}),
                 MakeNode("Mul", {"batch", "length"}, {"rows"}),
                 MakeNode("Concat", sizes, {"target"}),
                 MakeNode("Reshape", {"x", "target"}, {"y"})};
  graph.nodes[4].attributes["axis"] = int64_t{0};
  return graph;
}

TEST(FoldShapes, ATargetOfSizesIsConstant) {
  struct Case {
    std::vector<std::string> sizes;
    std::vector<int64_t> target;
  };
  for (const Case& each : {Case{{"batch", "length", "3", "4"}, {0, 0, 3, 4}},
                           Case{{"batch", "-1", "4"}, {0, -1, 4}}, Case{{"rows", "12"}, {-1, 12}},
                           Case{{"length", "batch", "12"}, {}},  // two that are not of their axes
                           Case{{"rows", "3", "4"}, {-1, 3, 4}}}) {
    Graph graph = Viewed(each.sizes, Shape(each.sizes.size(), -1));
    const Graph before = graph;
    FoldShapes(graph);
    const std::string& target = graph.nodes.back().inputs[1];
    if (each.target.empty()) {
      EXPECT_EQ(target, "target");
      continue;
    }
    const auto found = graph.initializers.at(target).As<int64_t>();
    EXPECT_EQ(std::vector<int64_t>(found.begin(), found.end()), each.target);
    RemoveDead(graph);
    EXPECT_THAT(Ops(graph), ElementsAre("Reshape"));
    for (const Shape& shape : {Shape{1, 1, 12}, Shape{2, 5, 12}, Shape{5, 2, 12}}) {
      Rng rng(1);
      ExpectSame(before, graph, {{"x", Random(rng, shape)}});
    }
  }
}

TEST(FoldShapes, WhatChangesNothingIsIdentity) {
  Graph graph = Viewed({"batch", "length", "12"}, {-1, -1, 12});
  graph.nodes.push_back(MakeNode("Cast", {"y"}, {"z"}));
  graph.nodes.back().attributes["to"] = int64_t{1};  // float32
  graph.nodes.push_back(MakeNode("Cast", {"z"}, {"half"}));
  graph.nodes.back().attributes["to"] = int64_t{10};  // float16
  graph.outputs = {{"half", DType::kF16, {-1, -1, 12}, {}}};
  FoldShapes(graph);
  RemoveDead(graph);
  EXPECT_THAT(Ops(graph), ElementsAre("Cast"));
}

TEST(FoldShapes, ATargetFromOutsideStays) {
  Graph graph = NewGraph(17, {{"x", DType::kF32, {-1, 12}, {"batch", ""}}, {"target", DType::kI64, {1}, {}}},
                         {{"y", DType::kF32, {-1}, {}}});
  graph.nodes = {MakeNode("Reshape", {"x", "target"}, {"y"})};
  FoldShapes(graph);
  EXPECT_EQ(graph.nodes[0].inputs[1], "target") << "another number than all must be refused when it runs";
}

TEST(RemoveDead, DropsWhatNoOutputNeedsAndKeepsNames) {
  Graph graph = NewGraph(17, {{"x", DType::kF32, {2}, {}}}, {{"y", DType::kF32, {2}, {}}});
  graph.initializers["unused"] = Floats({1}, {1});
  graph.nodes = {MakeNode("Identity", {"x"}, {"same"}), MakeNode("Relu", {"same"}, {"r"}),
                 MakeNode("Dropout", {"r"}, {"d", ""}), MakeNode("Exp", {"x"}, {"nobody"}),
                 MakeNode("Identity", {"d"}, {"y"})};
  graph.metadata["strop.penultimate"] = "d";
  const Graph before = graph;
  RemoveDead(graph);
  graph.Validate();
  EXPECT_TRUE(graph.initializers.empty());
  EXPECT_EQ(graph.outputs[0].name, "y");
  const std::string tap = graph.metadata.at("strop.penultimate");
  EXPECT_NE(graph.Producer(tap), nullptr) << tap;
  EXPECT_FALSE(std::ranges::count(Ops(graph), "Exp"));
  ExpectSame(before, graph, {{"x", Floats({2}, {-1, 2})}});
}

TEST(RemoveDead, AnInputThatIsAnOutputStays) {
  Graph graph = NewGraph(17, {{"x", DType::kF32, {2}, {}}}, {{"y", DType::kF32, {2}, {}}});
  graph.nodes = {MakeNode("Identity", {"x"}, {"y"})};
  RemoveDead(graph);
  EXPECT_THAT(Ops(graph), ElementsAre("Identity"));
}

TEST(Extract, TheMiddleOfAModel) {
  Rng rng(5);
  Graph graph =
      NewGraph(17, {{"x", DType::kF32, {-1, 3}, {"n", ""}}}, {{"y", DType::kF32, {-1, 2}, {"n", ""}}});
  graph.initializers["w1"] = Random(rng, {3, 4});
  graph.initializers["w2"] = Random(rng, {4, 2});
  graph.nodes = {MakeNode("MatMul", {"x", "w1"}, {"h"}), MakeNode("Relu", {"h"}, {"r"}),
                 MakeNode("MatMul", {"r", "w2"}, {"y"})};
  const auto values = InferShapes(graph);
  const Graph middle = Extract(graph, {"h"}, {"y"}, values);
  EXPECT_THAT(Ops(middle), ElementsAre("Relu", "MatMul"));
  EXPECT_EQ(middle.initializers.size(), 1u);
  EXPECT_THAT(middle.inputs[0].dim_names, ElementsAre("n", ""));
  const TensorMap whole = reference::Evaluate(graph, {{"x", Random(rng, {5, 3})}}, {"h", "y"});
  const TensorMap part = reference::Evaluate(Graph::Parse(middle.Serialize()), {{"h", whole.at("h")}});
  EXPECT_EQ(Values(part.at("y")), Values(whole.at("y")));
  try {
    Extract(graph, {}, {"y"}, values);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("they need the input x too"));
  }
}

}  // namespace
}  // namespace strop::model
