#include <algorithm>
#include <optional>

#include "strop/model/passes.h"

namespace strop::model {
namespace {

bool IsReshape(const Node& node) {
  return node.op == "Reshape" && node.domain.empty() && node.inputs.size() == 2 && node.outputs.size() == 1 &&
         node.Int("allowzero", 0) == 0;
}

bool IsCast(const Node& node) {
  return node.op == "Cast" && node.domain.empty() && node.inputs.size() == 1 && node.outputs.size() == 1;
}

void MakeIdentity(Node& node) {
  node.op = "Identity";
  node.inputs.resize(1);
  node.attributes.clear();
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

// Whether every size of the answer is the input's, whatever a computed target holds.
bool IsSame(const ValueInfo& input, const ValueInfo& answer) {
  if (!input.has_shape || !answer.has_shape || input.shape.size() != answer.shape.size()) return false;
  for (size_t axis = 0; axis < input.shape.size(); ++axis)
    if (!SameSize(input, axis, answer, axis)) return false;
  return true;
}

}  // namespace

void FoldShapes(Graph& graph) {
  const auto concerned = [&](const Node& node) { return IsCast(node) || IsReshape(node); };
  if (std::none_of(graph.nodes.begin(), graph.nodes.end(), concerned)) return;
  const std::map<std::string, ValueInfo> values = InferShapes(graph);
  for (Node& node : graph.nodes) {
    if (!concerned(node)) continue;
    const auto input = values.find(node.inputs[0]), answer = values.find(node.outputs[0]);
    if (input == values.end() || answer == values.end()) continue;
    if (IsCast(node)) {
      if (input->second.dtype == answer->second.dtype) MakeIdentity(node);
      continue;
    }
    if (IsSame(input->second, answer->second)) {
      MakeIdentity(node);
    } else if (!graph.IsInitializer(node.inputs[1])) {
      const std::optional<std::vector<int64_t>> target = TargetOf(input->second, answer->second);
      if (!target) continue;
      node.inputs[1] = graph.FreshName(node.outputs[0] + "_target");
      graph.initializers[node.inputs[1]] =
          Tensor::From<int64_t>({static_cast<int64_t>(target->size())}, *target);
    }
  }
}

}  // namespace strop::model
