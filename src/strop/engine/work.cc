#include "strop/engine/work.h"

#include <algorithm>

namespace strop::engine {
namespace {

// Multiply-adds for each element of the output: the depth of the sums.
int64_t Depth(const model::Node& node, const Shape& input, const Shape& weight) {
  if (node.op == "Gemm") return input[node.Int("transA", 0) != 0 ? 0 : 1];
  if (node.op == "MatMul") return input.back();
  int64_t depth = 1;
  for (size_t i = 1; i < weight.size(); ++i) depth *= weight[i];
  return depth;
}

}  // namespace

std::map<std::string, Work> CountWork(const model::Graph& graph, const std::map<std::string, Shape>& inputs) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph, inputs);
  const auto known = [&](const std::string& name) {
    const auto found = values.find(name);
    return found != values.end() && found->second.has_shape &&
           std::find(found->second.shape.begin(), found->second.shape.end(), -1) == found->second.shape.end();
  };
  std::map<std::string, Work> all;
  for (const model::Node& node : graph.nodes) {
    if (node.op != "Gemm" && node.op != "MatMul" && node.op != "Conv") continue;
    if (!known(node.inputs[0]) || !known(node.inputs[1]) || !known(node.outputs[0])) continue;
    const Shape& input = values.at(node.inputs[0]).shape;
    if (input.empty()) continue;
    Work& work = all[node.name];
    work.flops = 2.0 * static_cast<double>(ElementCount(values.at(node.outputs[0]).shape)) *
                 static_cast<double>(Depth(node, input, values.at(node.inputs[1]).shape));
    for (const std::string& name : {node.inputs[0], node.inputs[1], node.outputs[0]}) {
      const model::ValueInfo& value = values.at(name);
      work.bytes += static_cast<double>(ElementCount(value.shape)) * static_cast<double>(SizeOf(value.dtype));
    }
  }
  return all;
}

}  // namespace strop::engine
