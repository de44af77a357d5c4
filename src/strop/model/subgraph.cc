#include "strop/model/subgraph.h"

#include <algorithm>
#include <set>

#include "strop/base/error.h"
#include "strop_onnx.pb.h"

namespace strop::model {
namespace {

void Collect(const strop_onnx::GraphProto& graph, std::set<std::string> known,
             std::vector<std::string>& outer) {
  const auto use = [&](const std::string& value) {
    if (!value.empty() && !known.contains(value)) outer.push_back(value);
  };
  for (const auto& input : graph.input()) known.insert(input.name());
  for (const auto& tensor : graph.initializer()) known.insert(tensor.name());
  for (const auto& tensor : graph.sparse_initializer()) known.insert(tensor.values().name());
  for (const auto& node : graph.node()) {
    for (const std::string& input : node.input()) use(input);
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) Collect(attribute.g(), known, outer);
      for (const auto& inner : attribute.graphs()) Collect(inner, known, outer);
    }
    known.insert(node.output().begin(), node.output().end());
  }
  for (const auto& output : graph.output()) use(output.name());
}

}  // namespace

std::vector<std::string> OuterValues(const SubgraphBytes& subgraph) {
  strop_onnx::GraphProto graph;
  if (!graph.ParseFromString(subgraph.bytes))
    throw Error(Code::kCorrupt, "a subgraph attribute is not an ONNX graph");
  std::vector<std::string> outer;
  Collect(graph, {}, outer);
  return outer;
}

bool HasSubgraph(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const auto& attribute) {
    return std::holds_alternative<SubgraphBytes>(attribute.second);
  });
}

std::vector<std::string> UsedValues(const Node& node) {
  std::vector<std::string> used;
  for (const std::string& input : node.inputs) {
    if (!input.empty()) used.push_back(input);
  }
  for (const auto& [name, attribute] : node.attributes) {
    const auto* subgraph = std::get_if<SubgraphBytes>(&attribute);
    if (!subgraph) continue;
    for (std::string& value : OuterValues(*subgraph)) used.push_back(std::move(value));
  }
  return used;
}

bool NeverLoops(const Graph& graph, const Node& node) {
  if (node.op != "Loop" || !node.domain.empty()) return false;
  const auto trips = graph.initializers.find(node.inputs[0]);
  return trips != graph.initializers.end() && trips->second.dtype() == DType::kI64 &&
         trips->second.size() == 1 && trips->second.As<int64_t>()[0] <= 0;
}

}  // namespace strop::model
