#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/model/passes.h"
#include "strop/model/subgraph.h"

namespace strop::model {
namespace {

ValueInfo TypeOf(const std::string& value, const std::map<std::string, ValueInfo>& values) {
  const auto found = values.find(value);
  if (found == values.end()) {
    throw Error(Code::kInvalidArgument, fmt::format("the type of the value {} is not known", value));
  }
  ValueInfo info = found->second;
  info.name = value;
  return info;
}

}  // namespace

Graph Extract(const Graph& graph, const std::vector<std::string>& inputs,
              const std::vector<std::string>& outputs, const std::map<std::string, ValueInfo>& values) {
  Graph part;
  part.name = graph.name;
  part.ir_version = graph.ir_version;
  part.opsets = graph.opsets;
  const std::set<std::string> given(inputs.begin(), inputs.end());
  std::set<std::string> needed;
  for (const std::string& output : outputs) {
    if (!given.contains(output)) needed.insert(output);
    part.outputs.push_back(TypeOf(output, values));
  }
  for (const std::string& input : inputs) part.inputs.push_back(TypeOf(input, values));
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool used = std::any_of(node->outputs.begin(), node->outputs.end(),
                                  [&](const std::string& value) { return needed.contains(value); });
    if (!used) continue;
    Node copy = *node;
    // A given value is not made again, even where its maker is needed for another output.
    for (std::string& value : copy.outputs) {
      if (given.contains(value)) value.clear();
    }
    for (std::string& value : UsedValues(copy)) {
      if (!given.contains(value)) needed.insert(std::move(value));
    }
    part.nodes.push_back(std::move(copy));
  }
  std::reverse(part.nodes.begin(), part.nodes.end());
  for (const std::string& value : needed) {
    if (const auto weight = graph.initializers.find(value); weight != graph.initializers.end()) {
      part.initializers.insert(*weight);
      if (graph.packed4.contains(value)) part.packed4.insert(value);
    } else if (graph.FindInput(value)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("the inputs do not cut the outputs off: they need the input {} too", value));
    }
  }
  part.Validate();
  return part;
}

}  // namespace strop::model
