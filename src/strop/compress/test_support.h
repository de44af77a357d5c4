#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "strop/base/rng.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::compress {

inline Tensor RandomFloats(const Shape& shape, Rng& rng, double scale = 1) {
  Tensor tensor = Tensor::New(DType::kF32, shape);
  for (float& value : tensor.As<float>()) value = static_cast<float>(rng.Normal() * scale);
  return tensor;
}

inline Tensor RandomBytes(const Shape& shape, Rng& rng) {
  Tensor tensor = Tensor::New(DType::kU8, shape);
  for (uint8_t& value : tensor.As<uint8_t>()) value = static_cast<uint8_t>(rng.Below(256));
  return tensor;
}

inline model::Node MakeNode(const std::string& op, std::vector<std::string> inputs, const std::string& output,
                            std::map<std::string, model::Attribute> attributes = {}) {
  model::Node node;
  node.op = op;
  node.name = op + "_" + output;
  node.inputs = std::move(inputs);
  node.outputs = {output};
  node.attributes = std::move(attributes);
  return node;
}

inline model::ValueInfo MakeValue(const std::string& name, DType dtype, Shape shape) {
  model::ValueInfo info;
  info.name = name;
  info.dtype = dtype;
  info.dim_names.resize(shape.size());
  if (!shape.empty() && shape[0] == -1) info.dim_names[0] = "batch";
  info.shape = std::move(shape);
  return info;
}

// The demo's operators, small: image -> Cast, Div -> Conv, Relu, MaxPool -> Conv, Relu, MaxPool -> Flatten ->
// Gemm, Relu -> Gemm -> logits of three classes.
inline model::Graph SmallNetwork(uint64_t seed) {
  using Ints = std::vector<int64_t>;
  Rng rng(seed);
  model::Graph graph;
  graph.name = "small";
  graph.ir_version = 8;
  graph.opsets = {{"", 17}};
  graph.inputs = {MakeValue("image", DType::kU8, {-1, 1, 8, 8})};
  graph.outputs = {MakeValue("logits", DType::kF32, {-1, 3})};
  graph.metadata = {{"strop.penultimate", "r3"}, {"author", "someone"}};
  const float c255 = 255;
  graph.initializers = {{"c255", Tensor::From<float>({}, std::span<const float>(&c255, 1))},
                        {"w1", RandomFloats({4, 1, 3, 3}, rng, 0.4)},
                        {"b1", RandomFloats({4}, rng, 0.1)},
                        {"w2", RandomFloats({6, 4, 3, 3}, rng, 0.3)},
                        {"b2", RandomFloats({6}, rng, 0.1)},
                        {"w3", RandomFloats({5, 24}, rng, 0.3)},
                        {"b3", RandomFloats({5}, rng, 0.1)},
                        {"w4", RandomFloats({3, 5}, rng, 0.5)},
                        {"b4", RandomFloats({3}, rng, 0.1)}};
  const std::map<std::string, model::Attribute> pool = {{"kernel_shape", Ints{2, 2}},
                                                        {"strides", Ints{2, 2}}};
  const std::map<std::string, model::Attribute> conv = {{"kernel_shape", Ints{3, 3}},
                                                        {"pads", Ints{1, 1, 1, 1}}};
  const std::map<std::string, model::Attribute> trans = {{"transB", int64_t{1}}};
  graph.nodes = {
      MakeNode("Cast", {"image"}, "f", {{"to", int64_t{1}}}),
      MakeNode("Div", {"f", "c255"}, "x"),
      MakeNode("Conv", {"x", "w1", "b1"}, "y1", conv),
      MakeNode("Relu", {"y1"}, "r1"),
      MakeNode("MaxPool", {"r1"}, "p1", pool),
      MakeNode("Conv", {"p1", "w2", "b2"}, "y2", conv),
      MakeNode("Relu", {"y2"}, "r2"),
      MakeNode("MaxPool", {"r2"}, "p2", pool),
      MakeNode("Flatten", {"p2"}, "flat"),
      MakeNode("Gemm", {"flat", "w3", "b3"}, "y3", trans),
      MakeNode("Relu", {"y3"}, "r3"),
      MakeNode("Gemm", {"r3", "w4", "b4"}, "logits", trans),
  };
  return graph;
}

}  // namespace strop::compress
