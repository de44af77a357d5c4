#include <algorithm>
#include <map>

#include "strop/base/error.h"
#include "strop/model/passes.h"
#include "strop/model/reference/evaluator.h"

namespace strop::model {
namespace {

// A folded tensor may outgrow what it is made from (ConstantOfShape, Expand) by this much.
constexpr size_t kMostGrowth = size_t{1} << 20;

bool IsRandom(const Node& node) {
  return node.op.starts_with("Random") || node.op == "Bernoulli" || node.op == "Multinomial";
}

// 4-bit weights stay packed, and quantized ones small: folding what reads them would undo the compression.
bool KeepsCompression(const Graph& graph, const Node& node) {
  return node.op == "DequantizeLinear" || (node.inputs.size() > 2 && node.op == "QuantizeLinear") ||
         std::any_of(node.inputs.begin(), node.inputs.end(),
                     [&](const auto& v) { return graph.packed4.contains(v); });
}

size_t BytesOf(const std::vector<Tensor>& tensors) {
  size_t bytes = 0;
  for (const Tensor& tensor : tensors) bytes += tensor ? tensor.bytes() : 0;
  return bytes;
}

}  // namespace

void FoldConstants(Graph& graph) {
  const std::map<std::string, ValueInfo> types = InferShapes(graph);
  // Whether shape inference promises a result of at most `limit` bytes.
  const auto small = [&](const Node& node, size_t limit) {
    return std::all_of(node.outputs.begin(), node.outputs.end(), [&](const std::string& value) {
      if (value.empty()) return true;
      const auto found = types.find(value);
      if (found == types.end() || !found->second.has_shape) return false;
      size_t bytes = SizeOf(found->second.dtype);
      for (const int64_t size : found->second.shape) {
        if (size < 0 || (size > 0 && bytes > limit / static_cast<size_t>(size))) return false;
        bytes *= static_cast<size_t>(size);
      }
      return true;
    });
  };
  std::vector<Node> kept;
  for (Node& node : graph.nodes) {
    const bool constant = std::all_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
      return input.empty() || graph.IsInitializer(input);
    });
    const int64_t opset = node.domain.empty() ? graph.opset() : 0;
    if (!constant || IsRandom(node) || KeepsCompression(graph, node) || !reference::Supports(node, opset)) {
      kept.push_back(std::move(node));
      continue;
    }
    std::vector<Tensor> inputs;
    for (const std::string& input : node.inputs) {
      inputs.push_back(input.empty() ? Tensor() : graph.initializers.at(input));
    }
    if (node.op != "Constant" && !small(node, BytesOf(inputs) + kMostGrowth)) {
      kept.push_back(std::move(node));
      continue;
    }
    std::vector<Tensor> results;
    try {
      results = reference::EvaluateNode(node, opset, inputs);
    } catch (const Error& error) {
      if (error.code() != Code::kUnsupported) throw;
      kept.push_back(std::move(node));
      continue;
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (!node.outputs[i].empty()) graph.initializers[node.outputs[i]] = results[i];
    }
  }
  graph.nodes = std::move(kept);
}

}  // namespace strop::model
