#include "strop/engine/partition.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "strop/model/subgraph.h"

namespace strop::engine {
namespace {

using model::Graph;
using model::Node;
using model::ValueInfo;

constexpr size_t kNone = static_cast<size_t>(-1);

struct Uses {
  std::map<std::string, size_t> producer;
  std::map<std::string, std::vector<size_t>> consumers;

  explicit Uses(const Graph& graph) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      for (const std::string& value : graph.nodes[i].outputs) producer[value] = i;
      for (const std::string& value : model::UsedValues(graph.nodes[i])) consumers[value].push_back(i);
    }
  }
  size_t Producer(const std::string& value) const {
    const auto found = producer.find(value);
    return found == producer.end() ? kNone : found->second;
  }
  // The one node that reads the value; kNone when there are several or none.
  size_t OnlyConsumer(const std::string& value) const {
    const auto found = consumers.find(value);
    return found != consumers.end() && found->second.size() == 1 ? found->second[0] : kNone;
  }
};

bool IsQuantization(const Node& node) {
  return node.op == "QuantizeLinear" || node.op == "DequantizeLinear" || node.op == "DynamicQuantizeLinear";
}

const Tensor* Constant(const Graph& graph, const std::string& value) {
  const auto found = graph.initializers.find(value);
  return found == graph.initializers.end() || found->second.dtype() != DType::kF32 ? nullptr : &found->second;
}

// A bias that adds the same to every row: n elements in the last dimension, or one.
bool IsBias(const Tensor& tensor, int64_t n) {
  const Shape& shape = tensor.shape();
  return tensor.size() == 1 || (tensor.size() == n && shape.back() == n);
}

std::optional<DenseLayer> DenseAt(const Graph& graph, const std::map<std::string, ValueInfo>& values,
                                  size_t index) {
  const Node& node = graph.nodes[index];
  if (!node.domain.empty() || (node.op != "Gemm" && node.op != "MatMul") || node.inputs.size() < 2)
    return std::nullopt;
  const Tensor* weight = Constant(graph, node.inputs[1]);
  const auto input = values.find(node.inputs[0]);
  if (weight == nullptr || weight->shape().size() != 2 || input == values.end() ||
      graph.IsInitializer(node.inputs[0]) || input->second.dtype != DType::kF32 ||
      input->second.shape.size() < 2) {
    return std::nullopt;
  }
  DenseLayer layer{.nodes = {index},
                   .input = node.inputs[0],
                   .weight = node.inputs[1],
                   .bias = {},
                   .output = node.outputs[0]};
  if (node.op == "Gemm") {
    if (node.Int("transA", 0) != 0 || input->second.shape.size() != 2) return std::nullopt;
    layer.transposed = node.Int("transB", 0) != 0;
    layer.weight_scale = node.Float("alpha", 1);
    layer.bias_scale = node.Float("beta", 1);
  }
  layer.k = weight->shape()[layer.transposed ? 1 : 0];
  layer.n = weight->shape()[layer.transposed ? 0 : 1];
  if (layer.k == 0 || layer.n == 0) return std::nullopt;
  if (node.op == "Gemm" && node.inputs.size() > 2 && !node.inputs[2].empty()) {
    const Tensor* bias = Constant(graph, node.inputs[2]);
    if (bias == nullptr || !IsBias(*bias, layer.n)) return std::nullopt;
    layer.bias = node.inputs[2];
  }
  return layer;
}

}  // namespace

std::vector<DenseLayer> FindDense(const Graph& graph, const std::map<std::string, ValueInfo>& values,
                                  const std::set<std::string>& kept) {
  const Uses uses(graph);
  std::vector<DenseLayer> found;
  // The nodes of a subgraph read values of the graph without naming them as inputs: no cut is safe.
  for (const Node& node : graph.nodes) {
    for (const auto& [name, attribute] : node.attributes) {
      if (std::holds_alternative<model::SubgraphBytes>(attribute)) return found;
    }
  }
  for (size_t index = 0; index < graph.nodes.size(); ++index) {
    std::optional<DenseLayer> layer = DenseAt(graph, values, index);
    if (!layer) continue;
    const auto next = [&](const char* op) {
      const size_t consumer = kept.contains(layer->output) ? kNone : uses.OnlyConsumer(layer->output);
      return consumer != kNone && graph.nodes[consumer].op == op && graph.nodes[consumer].domain.empty()
                 ? consumer
                 : kNone;
    };
    if (layer->bias.empty()) {
      if (const size_t add = next("Add"); add != kNone) {
        const Node& node = graph.nodes[add];
        const std::string& other = node.inputs[node.inputs[0] == layer->output ? 1 : 0];
        const Tensor* bias = Constant(graph, other);
        // A bias of more dimensions than the product would widen it.
        const size_t rank = values.at(layer->input).shape.size();
        if (bias != nullptr && IsBias(*bias, layer->n) && bias->shape().size() <= rank) {
          layer->nodes.push_back(add);
          layer->bias = other;
          layer->bias_scale = 1;
          layer->output = node.outputs[0];
        }
      }
    }
    if (const size_t relu = next("Relu"); relu != kNone) {
      layer->nodes.push_back(relu);
      layer->relu = true;
      layer->output = graph.nodes[relu].outputs[0];
    }
    const size_t producer = uses.Producer(layer->input);
    bool quantized = producer != kNone && IsQuantization(graph.nodes[producer]);
    if (const auto readers = uses.consumers.find(layer->output); readers != uses.consumers.end()) {
      for (const size_t reader : readers->second)
        quantized = quantized || IsQuantization(graph.nodes[reader]);
    }
    if (!quantized) found.push_back(std::move(*layer));
  }
  return found;
}

std::vector<Region> Partition(const Graph& graph, const std::vector<DenseLayer>& dense,
                              const std::set<size_t>& reference, const std::set<std::string>& kept) {
  std::vector<size_t> layer_of(graph.nodes.size(), kNone);
  for (size_t layer = 0; layer < dense.size(); ++layer) {
    for (const size_t node : dense[layer].nodes) layer_of[node] = layer;
  }
  // The stage of a value is the number of single steps on the longest way to it. OpenVINO's nodes of one
  // stage have no single step between them, so they can run together, before the single steps that read only
  // stages up to theirs.
  std::map<std::string, size_t> stage;
  const auto stage_of = [&](const std::vector<std::string>& inputs) {
    size_t most = 0;
    for (const std::string& value : inputs) {
      if (const auto found = stage.find(value); found != stage.end()) most = std::max(most, found->second);
    }
    return most;
  };
  std::map<std::tuple<size_t, int, size_t>, Region>
      steps;  // (stage, single, first node), in the order of running
  for (size_t index = 0; index < graph.nodes.size(); ++index) {
    const Node& node = graph.nodes[index];
    const size_t layer = layer_of[index];
    if (layer != kNone) {
      if (dense[layer].nodes[0] != index) continue;
      const size_t at = stage_of({dense[layer].input});
      stage[dense[layer].output] = at + 1;
      steps[{at, 1, index}] = {Runner::kStrop, dense[layer].nodes, {}, {}, dense[layer]};
    } else if (reference.contains(index)) {
      const size_t at = stage_of(model::UsedValues(node));
      for (const std::string& value : node.outputs) stage[value] = at + 1;
      steps[{at, 1, index}] = {Runner::kReference, {index}, {}, {}, std::nullopt};
    } else {
      const size_t at = stage_of(model::UsedValues(node));
      for (const std::string& value : node.outputs) stage[value] = at;
      steps[{at, 0, 0}].nodes.push_back(index);
    }
  }
  std::vector<Region> regions;
  std::map<std::string, size_t> made_in;
  for (auto& [key, region] : steps) {
    for (const size_t index : region.nodes) {
      for (const std::string& value : graph.nodes[index].outputs) made_in[value] = regions.size();
    }
    regions.push_back(std::move(region));
  }
  std::set<std::string> crossing(kept);
  for (size_t at = 0; at < regions.size(); ++at) {
    std::set<std::string> seen;
    for (const size_t index : regions[at].nodes) {
      for (const std::string& value : model::UsedValues(graph.nodes[index])) {
        if (graph.IsInitializer(value) || !seen.insert(value).second) continue;
        const auto found = made_in.find(value);
        if (found != made_in.end() && found->second == at) continue;
        regions[at].inputs.push_back(value);
        crossing.insert(value);
      }
    }
  }
  for (Region& region : regions) {
    for (const size_t index : region.nodes) {
      for (const std::string& value : graph.nodes[index].outputs) {
        if (crossing.contains(value)) region.outputs.push_back(value);
      }
    }
  }
  return regions;
}

}  // namespace strop::engine
