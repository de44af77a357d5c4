#include "strop/engine/work.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "strop/engine/build.h"
#include "strop/engine/layers/layer.h"

namespace strop::engine {
namespace {

using model::Graph;
using model::Node;
using model::ValueInfo;

// Operations for each element of the answer.
constexpr std::pair<std::string_view, int> kRows[] = {
    {"Softmax", 5},          {"LogSoftmax", 5},         {"LayerNormalization", 7},
    {"RMSNormalization", 4}, {"BatchNormalization", 2},
};
// One operation each, and none; a blank on both sides of every name.
constexpr std::string_view kFunctions =
    " Abs Add And Ceil Celu Clip Cos Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid "
    "HardSwish LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu "
    "Round Selu Sigmoid Sign Sin Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor ";
constexpr std::string_view kMoves =
    " Cast Concat Dropout Expand Flatten Gather Identity Pad Reshape Slice Split Squeeze Tile Transpose "
    "Unsqueeze ";

bool IsOneOf(std::string_view names, const std::string& op) {
  return names.find(" " + op + " ") != std::string_view::npos;
}

class Counter {
 public:
  Counter(const Graph& graph, const std::map<std::string, ValueInfo>& values)
      : graph_(graph), values_(values) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      for (const std::string& value : graph.nodes[i].outputs) makers_[value] = &graph.nodes[i];
      for (const std::string& value : graph.nodes[i].inputs) readers_[value].push_back(&graph.nodes[i]);
    }
  }

  // Nothing where the operator or a size is not known.
  std::optional<double> Flops(const Node& node) const {
    if (!node.domain.empty() || node.outputs.empty() || !Sized(node.outputs[0])) return std::nullopt;
    const auto constant = [&](const std::string& value) { return graph_.IsInitializer(value); };
    if (std::all_of(node.inputs.begin(), node.inputs.end(), constant)) return std::nullopt;
    const double answered = Elements(node.outputs[0]);
    if (IsOneOf(kMoves, node.op)) return 0;
    if (IsOneOf(kFunctions, node.op)) return answered;
    for (const auto& [op, operations] : kRows)
      if (op == node.op) return operations * answered;
    if (node.inputs.empty() || !Sized(node.inputs[0])) return std::nullopt;
    if (node.op == "GlobalAveragePool" || node.op == "GlobalMaxPool" || node.op.starts_with("Reduce"))
      return Elements(node.inputs[0]);
    if (node.op == "MaxPool" || node.op == "AveragePool") {
      double window = 1;
      for (const int64_t size : node.Ints("kernel_shape")) window *= static_cast<double>(size);
      return window * answered;
    }
    const bool product = node.op == "Gemm" || node.op == "MatMul" || node.op == "Conv";
    if (!product || !Sized(node.inputs[1])) return std::nullopt;
    return 2 * answered * Depth(node);
  }

  Work OfNode(const Node& node, double flops) const {
    std::set<std::string> values(node.inputs.begin(), node.inputs.end());
    values.insert(node.outputs.begin(), node.outputs.end());
    Work work{flops, 0};
    for (const std::string& value : values) work.bytes += Passed(node, value, AsStored(value));
    return work;
  }

  // Nothing where a size is not known.
  std::optional<Work> OfLayer(const Layer& layer) const {
    Work work;
    std::set<std::string> values(layer.inputs.begin(), layer.inputs.end());
    values.insert(layer.output);
    for (const std::string& value : values) {
      if (!Sized(value)) return std::nullopt;
      work.bytes += Elements(value) * ElementBytes(value);
    }
    std::set<std::string> constants;
    for (const size_t index : layer.nodes) {
      const Node& node = graph_.nodes[index];
      work.flops += Flops(node).value_or(0);
      for (const std::string& value : node.inputs)
        if (graph_.IsInitializer(value) && constants.insert(value).second)
          work.bytes += Passed(node, value, ElementBytes(value));
    }
    return work;
  }

 private:
  bool Sized(const std::string& value) const {
    const auto found = values_.find(value);
    return found != values_.end() && found->second.has_shape &&
           std::find(found->second.shape.begin(), found->second.shape.end(), -1) == found->second.shape.end();
  }
  const Shape& ShapeOf(const std::string& value) const { return values_.at(value).shape; }
  double Elements(const std::string& value) const {
    return static_cast<double>(ElementCount(ShapeOf(value)));
  }
  double ElementBytes(const std::string& value) const {
    return static_cast<double>(SizeOf(values_.at(value).dtype));
  }

  // Bytes of an element of a value of which a node by itself is given the dequantized form.
  double AsStored(const std::string& value) const {
    if (!values_.contains(value)) return 0;
    if (const auto maker = makers_.find(value); maker != makers_.end() &&
                                                maker->second->op == "DequantizeLinear" &&
                                                values_.contains(maker->second->inputs[0]))
      return ElementBytes(maker->second->inputs[0]);
    const auto readers = readers_.find(value);
    const bool quantized = readers != readers_.end() &&
                           std::all_of(readers->second.begin(), readers->second.end(),
                                       [](const Node* node) { return node->op == "QuantizeLinear"; });
    return quantized ? 1 : ElementBytes(value);
  }

  // What of a value the node reads or writes. Of what it only picks from it reads as much as it answers.
  double Passed(const Node& node, const std::string& value, double element_bytes) const {
    const bool picks = (node.op == "Gather" || node.op == "Slice") && value == node.inputs[0];
    const std::string& counted = picks ? node.outputs[0] : value;
    return Sized(counted) ? Elements(counted) * element_bytes : 0;
  }

  // Multiply-adds for each element of the answer: the depth of the sums.
  double Depth(const Node& node) const {
    const Shape &input = ShapeOf(node.inputs[0]), &weight = ShapeOf(node.inputs[1]);
    if (node.op == "Gemm") return static_cast<double>(input[node.Int("transA", 0) != 0 ? 0 : 1]);
    if (node.op == "MatMul") return input.empty() ? 1 : static_cast<double>(input.back());
    double depth = 1;
    for (size_t i = 1; i < weight.size(); ++i) depth *= static_cast<double>(weight[i]);
    return depth;
  }

  const Graph& graph_;
  const std::map<std::string, ValueInfo>& values_;
  std::map<std::string, const Node*> makers_;
  std::map<std::string, std::vector<const Node*>> readers_;
};

}  // namespace

ModelWork CountWork(Graph graph, const std::map<std::string, Shape>& inputs) {
  std::set<std::string> kept;
  for (const ValueInfo& output : graph.outputs) kept.insert(output.name);
  PrepareGraph(graph, kept);
  const std::map<std::string, ValueInfo> values = model::InferShapes(graph, inputs);
  const Counter counter(graph, values);
  ModelWork work;
  std::set<size_t> inside;
  // As a session finds them, which does not know the sizes.
  for (const Layer& layer : FindLayers(graph, model::InferShapes(graph), kept)) {
    const std::optional<Work> found = counter.OfLayer(layer);
    if (!found) continue;
    work.layers[graph.nodes[layer.head].name] = *found;
    work.total.bytes += found->bytes;
    inside.insert(layer.nodes.begin(), layer.nodes.end());
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const std::optional<double> flops = counter.Flops(graph.nodes[i]);
    if (!flops) continue;
    const Work found = counter.OfNode(graph.nodes[i], *flops);
    work.nodes[graph.nodes[i].name] = found;
    work.total.flops += found.flops;
    if (!inside.contains(i)) work.total.bytes += found.bytes;
  }
  return work;
}

}  // namespace strop::engine
