#include "strop/model/passes/rewrite.h"

#include <algorithm>

#include "strop/model/subgraph.h"

namespace strop::model {

void ReplaceUses(Graph& graph, const std::string& from, const std::string& to) {
  for (Node& node : graph.nodes) std::replace(node.inputs.begin(), node.inputs.end(), from, to);
}

bool IsOutput(const Graph& graph, const std::string& value) {
  return std::any_of(graph.outputs.begin(), graph.outputs.end(),
                     [&](const ValueInfo& v) { return v.name == value; });
}

bool UsedBySubgraph(const Graph& graph, const std::string& value) {
  for (const Node& node : graph.nodes) {
    for (const auto& [name, attribute] : node.attributes) {
      const auto* subgraph = std::get_if<SubgraphBytes>(&attribute);
      if (!subgraph) continue;
      const std::vector<std::string> outer = OuterValues(*subgraph);
      if (std::find(outer.begin(), outer.end(), value) != outer.end()) return true;
    }
  }
  return false;
}

std::map<std::string, int> CountUses(const Graph& graph) {
  std::map<std::string, int> uses;
  for (const Node& node : graph.nodes) {
    for (const std::string& value : UsedValues(node)) ++uses[value];
  }
  for (const ValueInfo& output : graph.outputs) ++uses[output.name];
  return uses;
}

}  // namespace strop::model
