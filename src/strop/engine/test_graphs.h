#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "strop/base/rng.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::engine {

inline Tensor RandomF32(Shape shape, uint64_t seed) {
  Tensor tensor = Tensor::New(DType::kF32, std::move(shape));
  Rng rng(seed);
  for (float& value : tensor.As<float>()) value = static_cast<float>(rng.Uniform() * 2 - 1);
  return tensor;
}

inline model::Node MakeNode(std::string op, std::string name, std::vector<std::string> inputs,
                            std::vector<std::string> outputs,
                            std::map<std::string, model::Attribute> attributes = {}) {
  model::Node node;
  node.op = std::move(op);
  node.name = std::move(name);
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  node.attributes = std::move(attributes);
  return node;
}

// x [batch, 12] -> MatMul, Add, Relu -> Tanh -> Gemm (alpha, beta, transB) -> y [batch, 5]: own layers around
// a node of OpenVINO's.
inline model::Graph TwoDenseLayers() {
  model::Graph graph;
  graph.name = "two";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"x", DType::kF32, {-1, 12}, {"batch", ""}}};
  graph.outputs = {{"y", DType::kF32, {-1, 5}, {"batch", ""}}};
  graph.initializers["w1"] = RandomF32({12, 40}, 1);
  graph.initializers["b1"] = RandomF32({40}, 2);
  graph.initializers["w2"] = RandomF32({5, 40}, 3);
  graph.initializers["b2"] = RandomF32({1}, 4);
  graph.nodes = {
      MakeNode("MatMul", "matmul", {"x", "w1"}, {"h0"}),
      MakeNode("Add", "add", {"b1", "h0"}, {"h1"}),
      MakeNode("Relu", "relu", {"h1"}, {"h2"}),
      MakeNode("Tanh", "tanh", {"h2"}, {"h3"}),
      MakeNode("Gemm", "gemm", {"h3", "w2", "b2"}, {"y"},
               {{"alpha", 0.5f}, {"beta", 2.0f}, {"transB", int64_t{1}}}),
  };
  return graph;
}

}  // namespace strop::engine
