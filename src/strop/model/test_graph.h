#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "strop/base/tensor.h"
#include "strop/model/graph.h"

// How the tests of this room write graphs and tensors.
namespace strop::model {

inline Graph NewGraph(int64_t opset, std::vector<ValueInfo> inputs, std::vector<ValueInfo> outputs) {
  Graph graph;
  graph.name = "test";
  graph.opsets[""] = opset;
  graph.inputs = std::move(inputs);
  graph.outputs = std::move(outputs);
  return graph;
}

inline Node MakeNode(const std::string& op, std::vector<std::string> inputs, std::vector<std::string> outputs,
                     std::map<std::string, Attribute> attributes = {}) {
  Node node;
  node.op = op;
  node.name = op + "_" + outputs[0];
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  node.attributes = std::move(attributes);
  return node;
}

inline Tensor Floats(Shape shape, std::vector<float> values) {
  return Tensor::From<float>(std::move(shape), std::span<const float>(values));
}

inline Tensor Ints(std::vector<int64_t> values) {
  return Tensor::From<int64_t>({static_cast<int64_t>(values.size())}, std::span<const int64_t>(values));
}

inline std::vector<double> Values(const Tensor& tensor) {
  const Tensor wide = tensor.Cast(DType::kF64);
  const auto values = wide.As<double>();
  return {values.begin(), values.end()};
}

}  // namespace strop::model
