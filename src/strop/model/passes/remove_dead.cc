#include <algorithm>
#include <set>

#include "strop/model/passes.h"
#include "strop/model/passes/rewrite.h"
#include "strop/model/subgraph.h"

namespace strop::model {
namespace {

// Whether the node hands its first input on unchanged.
bool PassesThrough(const Graph& graph, const Node& node) {
  if (!node.domain.empty() || node.inputs.empty() || node.inputs[0].empty() || node.outputs.empty())
    return false;
  if (node.op == "Identity") return true;
  if (node.op != "Dropout") return false;
  if (graph.opset() < 7 && node.Int("is_test", 0) == 0) return false;  // trains unless told otherwise
  if (node.outputs.size() > 1 && !node.outputs[1].empty()) {
    const auto uses = CountUses(graph);
    if (uses.contains(node.outputs[1])) return false;
  }
  if (node.inputs.size() < 3 || node.inputs[2].empty()) return true;
  const auto training = graph.initializers.find(node.inputs[2]);
  return training != graph.initializers.end() && training->second.dtype() == DType::kBool &&
         training->second.size() == 1 && !training->second.As<bool>()[0];
}

// The value that takes the node's place, or nothing is done: outputs of the graph keep their names.
bool Bypass(Graph& graph, size_t index) {
  const std::string from = graph.nodes[index].outputs[0];
  const std::string source = graph.nodes[index].inputs[0];
  if (UsedBySubgraph(graph, from)) return false;
  if (!IsOutput(graph, from)) {
    ReplaceUses(graph, from, source);
    return true;
  }
  // The producer can make the output itself, unless its value has a name of its own to keep.
  const bool fixed = graph.FindInput(source) || graph.IsInitializer(source) || IsOutput(graph, source) ||
                     UsedBySubgraph(graph, source);
  if (fixed) return false;
  for (Node& node : graph.nodes) std::replace(node.outputs.begin(), node.outputs.end(), source, from);
  ReplaceUses(graph, source, from);
  const auto tap = graph.metadata.find("strop.penultimate");
  if (tap != graph.metadata.end() && tap->second == source) tap->second = from;
  return true;
}

void RemovePassThrough(Graph& graph) {
  for (size_t i = 0; i < graph.nodes.size();) {
    const auto tap = graph.metadata.find("strop.penultimate");
    const bool tapped = tap != graph.metadata.end() && !graph.nodes[i].outputs.empty() &&
                        tap->second == graph.nodes[i].outputs[0];
    if (!tapped && PassesThrough(graph, graph.nodes[i]) && Bypass(graph, i)) {
      graph.nodes.erase(graph.nodes.begin() + static_cast<ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

}  // namespace

void RemoveDead(Graph& graph) {
  RemovePassThrough(graph);
  std::set<std::string> needed;
  for (const ValueInfo& output : graph.outputs) needed.insert(output.name);
  std::vector<Node> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool used = std::any_of(node->outputs.begin(), node->outputs.end(),
                                  [&](const std::string& value) { return needed.contains(value); });
    if (!used) continue;
    for (std::string& value : UsedValues(*node)) needed.insert(std::move(value));
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);
  std::erase_if(graph.initializers, [&](const auto& entry) { return !needed.contains(entry.first); });
  std::erase_if(graph.packed4, [&](const std::string& value) { return !graph.initializers.contains(value); });
}

}  // namespace strop::model
