#pragma once

#include <algorithm>
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

// x [batch, 12] -> MatMul, Add, Relu -> Sin -> Gemm (alpha, beta, transB) -> y [batch, 5]: own layers around
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
      MakeNode("Sin", "sin", {"h2"}, {"h3"}),
      MakeNode("Gemm", "gemm", {"h3", "w2", "b2"}, {"y"},
               {{"alpha", 0.5f}, {"beta", 2.0f}, {"transB", int64_t{1}}}),
  };
  return graph;
}

inline Tensor RandomBytes(DType dtype, Shape shape, uint64_t seed) {
  Tensor tensor = Tensor::New(dtype, std::move(shape));
  Rng rng(seed);
  for (int64_t i = 0; i < tensor.size(); ++i)
    static_cast<uint8_t*>(tensor.data())[i] = static_cast<uint8_t>(rng.Below(256));
  return tensor;
}

template <class T>
Tensor Values(DType dtype, const std::vector<T>& values, Shape shape) {
  Tensor tensor = Tensor::New(dtype, std::move(shape));
  std::copy(values.begin(), values.end(), tensor.As<T>().begin());
  return tensor;
}

// x [batch, 12] -> QuantizeLinear to `bytes` -> MatMul by `weights` with a scale a column, bias of int32,
// Relu, QuantizeLinear -> Gemm by int8 with one scale -> Sin -> y [batch, 5], all as QDQ.
inline model::Graph TwoInt8Layers(DType bytes, DType weights) {
  model::Graph graph;
  graph.name = "two";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"x", DType::kF32, {-1, 12}, {"batch", ""}}};
  graph.outputs = {{"y", DType::kF32, {-1, 5}, {"batch", ""}}};
  const auto zero = [](DType dtype, int value, int64_t count) {
    Tensor tensor = Tensor::New(dtype, count == 0 ? Shape{} : Shape{count});
    std::fill_n(static_cast<uint8_t*>(tensor.data()), tensor.size(), static_cast<uint8_t>(value));
    return tensor;
  };
  auto& constants = graph.initializers;
  constants["x_scale"] = Values<float>(DType::kF32, {0.01f}, {});
  constants["x_zero"] = zero(bytes, 7, 0);
  constants["h_scale"] = Values<float>(DType::kF32, {0.02f}, {});
  constants["h_zero"] = zero(bytes, 11, 0);
  constants["w1"] = RandomBytes(weights, {12, 40}, 1);
  std::vector<float> scales(40);
  for (size_t i = 0; i < scales.size(); ++i) scales[i] = 0.01f + 0.001f * static_cast<float>(i);
  constants["w1_scale"] = Values<float>(DType::kF32, scales, {40});
  constants["w1_zero"] = zero(weights, weights == DType::kU8 ? 128 : 0, 40);
  std::vector<int32_t> bias(40);
  std::vector<float> bias_scales(40);
  for (size_t i = 0; i < bias.size(); ++i) {
    bias[i] = static_cast<int32_t>(i * 97) - 1500;
    bias_scales[i] = 0.01f * scales[i];
  }
  constants["b1"] = Values<int32_t>(DType::kI32, bias, {40});
  constants["b1_scale"] = Values<float>(DType::kF32, bias_scales, {40});
  constants["w2"] = RandomBytes(DType::kI8, {5, 40}, 3);
  constants["w2_scale"] = Values<float>(DType::kF32, {0.005f}, {});
  constants["b2"] = RandomF32({5}, 4);
  const model::Attribute axis = int64_t{1}, first = int64_t{0};
  graph.nodes = {
      MakeNode("QuantizeLinear", "xq", {"x", "x_scale", "x_zero"}, {"xq"}),
      MakeNode("DequantizeLinear", "xd", {"xq", "x_scale", "x_zero"}, {"xd"}),
      MakeNode("DequantizeLinear", "w1d", {"w1", "w1_scale", "w1_zero"}, {"w1d"}, {{"axis", axis}}),
      MakeNode("DequantizeLinear", "b1d", {"b1", "b1_scale"}, {"b1d"}, {{"axis", first}}),
      MakeNode("MatMul", "matmul", {"xd", "w1d"}, {"h0"}),
      MakeNode("Add", "add", {"h0", "b1d"}, {"h1"}),
      MakeNode("Relu", "relu", {"h1"}, {"h2"}),
      MakeNode("QuantizeLinear", "hq", {"h2", "h_scale", "h_zero"}, {"hq"}),
      MakeNode("DequantizeLinear", "hd", {"hq", "h_scale", "h_zero"}, {"hd"}),
      MakeNode("DequantizeLinear", "w2d", {"w2", "w2_scale"}, {"w2d"}),
      MakeNode("Gemm", "gemm", {"hd", "w2d", "b2"}, {"h3"}, {{"transB", int64_t{1}}}),
      MakeNode("Sin", "sin", {"h3"}, {"y"}),
  };
  return graph;
}

}  // namespace strop::engine
