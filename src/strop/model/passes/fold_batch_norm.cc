#include <cmath>

#include "strop/model/passes.h"
#include "strop/model/passes/rewrite.h"

namespace strop::model {
namespace {

struct Affine {
  std::vector<double> factor, offset;  // y = factor * x + offset, a channel
};

const Tensor* FloatWeight(const Graph& graph, const Node& node, size_t input) {
  if (input >= node.inputs.size()) return nullptr;
  const auto found = graph.initializers.find(node.inputs[input]);
  if (found == graph.initializers.end()) return nullptr;
  const DType dtype = found->second.dtype();
  return dtype == DType::kF32 || dtype == DType::kF64 ? &found->second : nullptr;
}

std::vector<double> Values(const Tensor& tensor) {
  const Tensor wide = tensor.Cast(DType::kF64);
  const auto values = wide.As<double>();
  return {values.begin(), values.end()};
}

// What the normalization does to one channel, when all of its parameters are constants.
bool ReadAffine(const Graph& graph, const Node& node, Affine& affine) {
  if (node.Int("training_mode", 0) != 0 || node.Int("spatial", 1) == 0 || graph.opset() < 7) return false;
  std::vector<std::vector<double>> parameters;
  for (size_t i = 1; i < 5; ++i) {
    const Tensor* parameter = FloatWeight(graph, node, i);
    if (!parameter || (i > 1 && static_cast<size_t>(parameter->size()) != parameters[0].size())) return false;
    parameters.push_back(Values(*parameter));
  }
  const double epsilon = node.Float("epsilon", 1e-5f);
  for (size_t c = 0; c < parameters[0].size(); ++c) {
    affine.factor.push_back(parameters[0][c] / std::sqrt(parameters[3][c] + epsilon));
    affine.offset.push_back(parameters[1][c] - parameters[2][c] * affine.factor[c]);
  }
  return true;
}

Tensor FromValues(const std::vector<double>& values, DType dtype, const Shape& shape) {
  return Tensor::From<double>(shape, values).Cast(dtype);
}

// Multiplies the layer's weights and bias; the shared initializers of other nodes stay as they are.
bool FoldInto(Graph& graph, Node& layer, const Affine& affine, bool output_axis_first) {
  const Tensor* weight = FloatWeight(graph, layer, 1);
  const bool has_bias = layer.inputs.size() > 2 && !layer.inputs[2].empty();
  const Tensor* bias = has_bias ? FloatWeight(graph, layer, 2) : nullptr;
  const size_t channels = affine.factor.size();
  if (!weight || (has_bias && !bias)) return false;
  const Shape& shape = weight->shape();
  if (shape.size() < 2 || static_cast<size_t>(output_axis_first ? shape[0] : shape[1]) != channels)
    return false;
  if (bias && bias->size() != 1 &&
      (static_cast<size_t>(bias->size()) != channels ||
       static_cast<size_t>(bias->shape().back()) != channels)) {
    return false;
  }
  std::vector<double> weights = Values(*weight);
  const size_t inner = weights.size() / channels;
  for (size_t i = 0; i < weights.size(); ++i)
    weights[i] *= affine.factor[output_axis_first ? i / inner : i % channels];
  std::vector<double> sums = bias ? Values(*bias) : std::vector<double>{0};
  if (sums.size() == 1) sums.assign(channels, sums[0]);
  const double beta = layer.op == "Gemm" ? layer.Float("beta", 1) : 1;
  for (size_t c = 0; c < channels; ++c) sums[c] = beta * sums[c] * affine.factor[c] + affine.offset[c];

  const DType dtype = weight->dtype();
  const std::string weight_name = graph.FreshName(layer.inputs[1] + "_folded");
  graph.initializers[weight_name] = FromValues(weights, dtype, shape);
  const std::string bias_name =
      graph.FreshName(has_bias ? layer.inputs[2] + "_folded" : layer.outputs[0] + "_bias");
  graph.initializers[bias_name] = FromValues(sums, dtype, {static_cast<int64_t>(channels)});
  layer.inputs.resize(3);
  layer.inputs[1] = weight_name;
  layer.inputs[2] = bias_name;
  if (layer.op == "Gemm") layer.attributes.erase("beta");
  return true;
}

}  // namespace

void FoldBatchNorm(Graph& graph) {
  std::map<std::string, int> uses = CountUses(graph);
  for (size_t i = 0; i < graph.nodes.size();) {
    const Node normalization = graph.nodes[i];
    Affine affine;
    Node* layer = nullptr;
    const auto tap = graph.metadata.find("strop.penultimate");
    const bool candidate = normalization.op == "BatchNormalization" && normalization.domain.empty() &&
                           normalization.inputs.size() == 5 && normalization.outputs.size() == 1 &&
                           uses[normalization.inputs[0]] == 1 &&
                           (tap == graph.metadata.end() || tap->second != normalization.inputs[0]);
    for (size_t k = 0; candidate && k < i; ++k) {
      if (graph.nodes[k].outputs.size() == 1 && graph.nodes[k].outputs[0] == normalization.inputs[0]) {
        layer = &graph.nodes[k];
      }
    }
    const bool foldable = layer && layer->domain.empty() && (layer->op == "Conv" || layer->op == "Gemm");
    const bool first = foldable && (layer->op == "Conv" || layer->Int("transB", 0) != 0);
    if (!foldable || !ReadAffine(graph, normalization, affine) || !FoldInto(graph, *layer, affine, first)) {
      ++i;
      continue;
    }
    layer->outputs[0] = normalization.outputs[0];
    graph.nodes.erase(graph.nodes.begin() + static_cast<ptrdiff_t>(i));
  }
  RemoveDead(graph);
}

}  // namespace strop::model
