#include "strop/engine/layers/quantize_before.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/layers/against_reference.h"

namespace strop::engine {
namespace {

using testing::ElementsAre;
using Ints = std::vector<int64_t>;

// Its input and outputs are given; theirs are what inference says.
void End(model::Graph& graph, const std::vector<std::string>& outputs) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  for (const std::string& output : outputs) graph.outputs.push_back(values.at(output));
}

model::Graph Begun(Shape shape) {
  model::Graph graph;
  graph.name = "bytes";
  graph.ir_version = 8;
  graph.opsets[""] = 22;
  graph.inputs = {{"x", DType::kF32, shape, std::vector<std::string>(shape.size())}};
  graph.initializers["scale"] = Values<float>(DType::kF32, {0.01f}, {});
  graph.initializers["zero"] = Values<int8_t>(DType::kI8, {-128}, {});
  return graph;
}

// b -> DequantizeLinear -> MatMul -> y.
void EndInProduct(model::Graph& graph, Shape weights) {
  graph.initializers["w8"] = RandomBytes(DType::kI8, std::move(weights), 9);
  graph.nodes.push_back(MakeNode("DequantizeLinear", "w8d", {"w8", "scale"}, {"w8d"}));
  graph.nodes.push_back(MakeNode("DequantizeLinear", "d", {"b", "scale", "zero"}, {"d"}));
  graph.nodes.push_back(MakeNode("MatMul", "product", {"d", "w8d"}, {"y"}));
  End(graph, {"y"});
}

std::vector<std::string> Operators(const model::Graph& graph) {
  std::vector<std::string> operators;
  for (const model::Node& node : graph.nodes) operators.push_back(node.op);
  return operators;
}

// x -> conv -> Relu -> MaxPool -> p -> QuantizeLinear -> y.
model::Graph PoolBehind() {
  model::Graph graph = Begun({2, 3, 12, 12});
  graph.initializers["w"] = RandomF32({20, 3, 3, 3}, 1);
  graph.nodes = {
      MakeNode("Conv", "conv", {"x", "w"}, {"a"}),
      MakeNode("Relu", "relu", {"a"}, {"r"}),
      MakeNode("MaxPool", "pool", {"r"}, {"p"}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}}),
      MakeNode("QuantizeLinear", "q", {"p", "scale", "zero"}, {"y"}),
  };
  End(graph, {"y"});
  return graph;
}

TEST(QuantizeBefore, TheGreatestIsOfBytesThatTheLayerBeforeMakes) {
  model::Graph graph = PoolBehind();
  QuantizeBefore(graph, {"y"});
  graph.Validate();
  EXPECT_THAT(Operators(graph),
              ElementsAre("Conv", "Relu", "QuantizeLinear", "DequantizeLinear", "MaxPool", "QuantizeLinear"));
  ExpectAsReference(PoolBehind(), {{"x", RandomF32({2, 3, 12, 12}, 3)}}, {.threads = 2}, "bytes");
}

TEST(QuantizeBefore, APoolThatIsReadBesidesStaysAsItIs) {
  for (const char* kept : {"p", "r"}) {
    model::Graph graph = PoolBehind();
    QuantizeBefore(graph, {"y", kept});
    EXPECT_EQ(graph.nodes.size(), 4u) << kept;
    ExpectAsReference(graph, {{"x", RandomF32({2, 3, 12, 12}, 3)}}, {.taps = {kept}}, kept);
  }
}

// x -> MatMul -> m -> Reshape -> r -> Transpose -> t -> QuantizeLinear -> b -> product of bytes -> y.
model::Graph MovesBehind() {
  model::Graph graph = Begun({4, 6, 8});
  graph.initializers["w"] = RandomF32({8, 10}, 1);
  graph.initializers["shape"] = Values<int64_t>(DType::kI64, {4, 6, 2, 5}, {4});
  graph.nodes = {
      MakeNode("MatMul", "matmul", {"x", "w"}, {"m"}),
      MakeNode("Reshape", "reshape", {"m", "shape"}, {"r"}),
      MakeNode("Transpose", "transpose", {"r"}, {"t"}, {{"perm", Ints{0, 2, 1, 3}}}),
      MakeNode("QuantizeLinear", "q", {"t", "scale", "zero"}, {"b"}),
  };
  EndInProduct(graph, {5, 3});
  return graph;
}

TEST(QuantizeBefore, MovesAreOfBytes) {
  model::Graph graph = MovesBehind();
  QuantizeBefore(graph, {"y"});
  graph.Validate();
  EXPECT_THAT(Operators(graph), ElementsAre("MatMul", "QuantizeLinear", "Reshape", "Transpose",
                                            "DequantizeLinear", "DequantizeLinear", "MatMul"));
  ExpectAsReference(MovesBehind(), {{"x", RandomF32({4, 6, 8}, 3)}}, {.threads = 2, .tolerance = 1e-4},
                    "bytes");
}

TEST(QuantizeBefore, OnlyOverMovesThatNothingElseReads) {
  for (const auto& [kept, operators] : std::map<std::string, std::vector<std::string>>{
           {"t", {"MatMul", "Reshape", "Transpose", "QuantizeLinear"}},
           {"r", {"MatMul", "Reshape", "QuantizeLinear", "Transpose"}},
           {"m", {"MatMul", "QuantizeLinear", "Reshape", "Transpose"}}}) {
    model::Graph graph = MovesBehind();
    QuantizeBefore(graph, {"y", kept});
    std::vector<std::string> found = Operators(graph);
    found.resize(4);
    EXPECT_EQ(found, operators) << kept;
    ExpectAsReference(graph, {{"x", RandomF32({4, 6, 8}, 3)}},
                      {.taps = {kept}, .tolerance = 1e-4, .openvino = {kept == "m" ? "MatMul" : ""}}, kept);
  }
}

TEST(QuantizeBefore, OnlyWhereAProductReadsTheBytes) {
  model::Graph graph = MovesBehind();
  graph.nodes.back() = MakeNode("ReduceMax", "reduce", {"d"}, {"y"}, {{"keepdims", int64_t{0}}});
  graph.outputs.clear();
  End(graph, {"y"});
  const std::vector<std::string> before = Operators(graph);
  QuantizeBefore(graph, {"y"});
  EXPECT_EQ(Operators(graph), before);
}

TEST(QuantizeBefore, OverMovesAndThePoolBeforeThem) {
  model::Graph graph = PoolBehind();
  graph.initializers["shape"] = Values<int64_t>(DType::kI64, {2, -1}, {2});
  graph.nodes.insert(graph.nodes.end() - 1, MakeNode("Reshape", "reshape", {"p", "shape"}, {"flat"}));
  graph.nodes.back().inputs[0] = "flat";
  graph.nodes.back().outputs[0] = "b";
  graph.outputs.clear();
  EndInProduct(graph, {20 * 4 * 4, 3});
  const model::Graph before = graph;
  QuantizeBefore(graph, {"y"});
  graph.Validate();
  EXPECT_THAT(Operators(graph),
              ElementsAre("Conv", "Relu", "QuantizeLinear", "DequantizeLinear", "MaxPool", "QuantizeLinear",
                          "Reshape", "DequantizeLinear", "DequantizeLinear", "MatMul"));
  ExpectAsReference(before, {{"x", RandomF32({2, 3, 12, 12}, 3)}}, {.threads = 2, .tolerance = 1e-4},
                    "bytes");
}

}  // namespace
}  // namespace strop::engine
