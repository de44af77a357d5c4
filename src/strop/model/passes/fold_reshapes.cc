#include <algorithm>
#include <optional>

#include "strop/model/passes.h"

namespace strop::model {
namespace {

bool IsComputedReshape(const Graph& graph, const Node& node) {
  return node.op == "Reshape" && node.domain.empty() && node.inputs.size() == 2 && node.outputs.size() == 1 &&
         node.Int("allowzero", 0) == 0 && !graph.IsInitializer(node.inputs[1]);
}

// Whether the size follows from those of the graph's inputs, and not from the numbers that the target holds.
bool FollowsFromSizes(const ValueInfo& value, size_t axis) {
  if (axis >= value.sizes.size() || !value.sizes[axis].known()) return false;
  const std::string* const name = value.sizes[axis].name();
  return name == nullptr || !name->starts_with(value.name + "\n");
}

// The target that makes the answer of the input: a number, 0 for a size that is the input's at the same axis,
// and -1 for one that is another.
std::optional<std::vector<int64_t>> TargetOf(const ValueInfo& input, const ValueInfo& answer) {
  if (!answer.has_shape) return std::nullopt;
  std::vector<int64_t> target;
  for (size_t axis = 0; axis < answer.shape.size(); ++axis) {
    const bool copies = input.has_shape && axis < input.shape.size() && SameSize(input, axis, answer, axis);
    if (answer.shape[axis] > 0) {
      target.push_back(answer.shape[axis]);
    } else if (answer.shape[axis] == -1 && copies) {
      target.push_back(0);
    } else if (answer.shape[axis] == -1 && FollowsFromSizes(answer, axis)) {
      target.push_back(-1);
    } else {
      return std::nullopt;
    }
  }
  if (std::count(target.begin(), target.end(), -1) > 1) return std::nullopt;
  return target;
}

}  // namespace

void FoldReshapes(Graph& graph) {
  const auto computed = [&](const Node& node) { return IsComputedReshape(graph, node); };
  if (std::none_of(graph.nodes.begin(), graph.nodes.end(), computed)) return;
  const std::map<std::string, ValueInfo> values = InferShapes(graph);
  for (Node& node : graph.nodes) {
    const auto input = values.find(node.inputs.empty() ? "" : node.inputs[0]);
    if (!computed(node) || input == values.end()) continue;
    const auto answer = values.find(node.outputs[0]);
    if (answer == values.end()) continue;
    const std::optional<std::vector<int64_t>> target = TargetOf(input->second, answer->second);
    if (!target) continue;
    node.inputs[1] = graph.FreshName(node.outputs[0] + "_target");
    graph.initializers[node.inputs[1]] =
        Tensor::From<int64_t>({static_cast<int64_t>(target->size())}, *target);
  }
}

}  // namespace strop::model
