#include "strop/compress/scheme.h"

#include <algorithm>
#include <functional>

#include "strop/base/error.h"

namespace strop::compress {
namespace {

// Operators that compute the same on stored integers as on the reals they stand for.
bool KeepsScale(const model::Node& node) {
  static const std::set<std::string> kOps = {"MaxPool",   "Flatten", "Reshape",
                                             "Transpose", "Squeeze", "Unsqueeze"};
  return node.domain.empty() && kOps.contains(node.op) && node.outputs.size() == 1;
}

// Operators that runtimes run on integers when inputs and output are quantised.
bool HasIntegerForm(const model::Node& node) {
  return node.domain.empty() &&
         (node.op == "Add" || node.op == "AveragePool" || node.op == "GlobalAveragePool");
}

bool IsActivationFunction(const model::Node& node) { return node.op == "Relu" || node.op == "Clip"; }

bool IsOutput(const model::Graph& graph, const std::string& value) {
  return std::ranges::any_of(graph.outputs,
                             [&](const model::ValueInfo& output) { return output.name == value; });
}

class Builder {
 public:
  Builder(const model::Graph& graph, const std::map<std::string, model::ValueInfo>& types)
      : graph_(graph), types_(types) {}

  // Values that keep one scale are joined through `parent_`.
  void Want(const std::string& value) {
    if (parent_.contains(value) || graph_.IsInitializer(value)) return;
    const auto type = types_.find(value);
    if (type != types_.end() && type->second.dtype != DType::kF32) return;
    parent_[value] = value;
    order_.push_back(value);
    const model::Node* producer = graph_.Producer(value);
    if (producer == nullptr) return;
    if (KeepsScale(*producer)) {
      const std::string& source = producer->inputs[0];
      Want(source);
      if (parent_.contains(source)) parent_[Root(value)] = Root(source);
      return;
    }
    if (IsActivationFunction(*producer)) producer = graph_.Producer(producer->inputs[0]);
    if (producer != nullptr && HasIntegerForm(*producer)) {
      for (const std::string& input : producer->inputs) Want(input);
    }
  }

  // What the layer's result is after the Relu that runtimes fuse into it.
  void WantResult(const model::Node& node) {
    std::string value = node.outputs[0];
    const std::vector<const model::Node*> readers = graph_.Consumers(value);
    if (readers.size() == 1 && IsActivationFunction(*readers[0]) && !IsOutput(graph_, value)) {
      value = readers[0]->outputs[0];
    }
    if (!IsOutput(graph_, value)) Want(value);
  }

  Scheme Finish(const std::set<std::string>& layers) {
    Scheme scheme;
    scheme.layers = layers;
    std::map<std::string, size_t> index;
    for (const std::string& value : order_) {
      const auto [entry, added] = index.try_emplace(Root(value), scheme.groups.size());
      if (added) scheme.groups.emplace_back();
      ScaleGroup& group = scheme.groups[entry->second];
      group.values.push_back(value);
      if (!group.exact) group.exact = FindExactInput(graph_, value);
      scheme.group_of[value] = entry->second;
    }
    for (ScaleGroup& group : scheme.groups) {
      for (const std::string& value : group.values) {
        const bool computed_with =
            std::ranges::any_of(graph_.Consumers(value), [&](const model::Node* reader) {
              return !(KeepsScale(*reader) && scheme.group_of.contains(reader->outputs[0]));
            });
        if (computed_with) group.calibrated.push_back(value);
      }
      if (group.calibrated.empty()) group.calibrated = group.values;
    }
    return scheme;
  }

 private:
  std::string Root(std::string value) const {
    while (parent_.at(value) != value) value = parent_.at(value);
    return value;
  }

  const model::Graph& graph_;
  const std::map<std::string, model::ValueInfo>& types_;
  std::map<std::string, std::string> parent_;
  std::vector<std::string> order_;
};

}  // namespace

std::vector<Layer> WeightedLayers(const model::Graph& graph) {
  std::vector<Layer> layers;
  for (const model::Node& node : graph.nodes) {
    if (!node.domain.empty() || node.inputs.size() < 2) continue;
    const auto weight = graph.initializers.find(node.inputs[1]);
    if (weight == graph.initializers.end() || weight->second.dtype() != DType::kF32) continue;
    if (graph.IsInitializer(node.inputs[0])) continue;
    const size_t rank = weight->second.shape().size();
    const bool bias_is_constant =
        node.inputs.size() < 3 || node.inputs[2].empty() || graph.IsInitializer(node.inputs[2]);
    const bool fits = (node.op == "Conv" && rank >= 3 && bias_is_constant) ||
                      (node.op == "Gemm" && rank == 2 && bias_is_constant && node.Int("transA", 0) == 0) ||
                      (node.op == "MatMul" && rank == 2);
    if (fits) layers.push_back({node.name, node.op, node.inputs[0], node.inputs[1]});
  }
  return layers;
}

Scheme MakeScheme(const model::Graph& graph, const std::map<std::string, model::ValueInfo>& types,
                  const std::vector<Layer>& layers, const std::set<std::string>& names) {
  Builder builder(graph, types);
  for (const Layer& layer : layers) {
    if (!names.contains(layer.name)) continue;
    builder.Want(layer.activation);
    if (layer.op != "Conv") continue;
    const auto node = std::ranges::find(graph.nodes, layer.name, &model::Node::name);
    builder.WantResult(*node);
  }
  return builder.Finish(names);
}

}  // namespace strop::compress
