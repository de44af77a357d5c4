#include "strop/model/graph.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/model/arity.h"
#include "strop/model/subgraph.h"

namespace strop::model {
namespace {

template <class T>
const T* Find(const Node& node, std::string_view name, const char* kind) {
  const auto found = node.attributes.find(std::string(name));
  if (found == node.attributes.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (!value) {
    throw Error(Code::kInvalidArgument,
                fmt::format("node {} ({}): the attribute {} is not {}", node.name, node.op, name, kind));
  }
  return value;
}

// The values that nothing the graph is fed with reaches: weights, perhaps dequantized or transposed.
std::set<std::string> ConstantValues(const Graph& graph) {
  std::set<std::string> constant;
  for (const auto& [value, tensor] : graph.initializers) constant.insert(value);
  for (const Node& node : graph.nodes) {
    const std::vector<std::string> used = UsedValues(node);
    if (std::all_of(used.begin(), used.end(), [&](const auto& value) { return constant.contains(value); }))
      constant.insert(node.outputs.begin(), node.outputs.end());
  }
  return constant;
}

std::string Describe(const Node& node) { return fmt::format("node {} ({})", node.name, node.op); }

}  // namespace

int64_t Node::Int(std::string_view attribute, int64_t fallback) const {
  const auto* value = Find<int64_t>(*this, attribute, "a whole number");
  return value ? *value : fallback;
}

float Node::Float(std::string_view attribute, float fallback) const {
  const auto* value = Find<float>(*this, attribute, "a float");
  return value ? *value : fallback;
}

std::string Node::Text(std::string_view attribute, std::string_view fallback) const {
  const auto* value = Find<std::string>(*this, attribute, "a string");
  return value ? *value : std::string(fallback);
}

std::vector<int64_t> Node::Ints(std::string_view attribute, const std::vector<int64_t>& fallback) const {
  const auto* value = Find<std::vector<int64_t>>(*this, attribute, "a list of whole numbers");
  return value ? *value : fallback;
}

void Graph::Validate() const {
  std::set<std::string> made;
  const auto make = [&](const std::string& value, const std::string& maker) {
    if (!made.insert(value).second) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} makes the value {}, which is already made", maker, value));
    }
  };
  for (const ValueInfo& input : inputs) make(input.name, "the list of inputs");
  for (const auto& [value, tensor] : initializers) {
    if (!tensor)
      throw Error(Code::kInvalidArgument, fmt::format("the initializer {} holds no tensor", value));
    make(value, "the list of initializers");
  }
  for (const std::string& value : packed4) {
    if (!initializers.contains(value)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("packed4 names {}, which is not an initializer", value));
    }
  }
  for (const Node& node : nodes) {
    CheckArity(node, opsets);
    for (const std::string& value : UsedValues(node)) {
      if (made.contains(value)) continue;
      const bool later = Producer(value) != nullptr;
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} uses the value {}, which {}", Describe(node), value,
                              later ? "is made only later" : "no node, input or initializer makes"));
    }
    for (const std::string& value : node.outputs) {
      if (!value.empty()) make(value, Describe(node));
    }
  }
  if (outputs.empty()) throw Error(Code::kInvalidArgument, "the graph has no output");
  for (const ValueInfo& output : outputs) {
    if (!made.contains(output.name)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("the output {} is made by no node, input or initializer", output.name));
    }
  }
}

int64_t Graph::opset() const {
  const auto found = opsets.find("");
  if (found == opsets.end()) {
    const auto standard = [](const Node& node) { return node.domain.empty(); };
    if (!nodes.empty() && std::none_of(nodes.begin(), nodes.end(), standard)) return 1;
    throw Error(Code::kInvalidArgument, fmt::format("the graph {} does not say its ai.onnx opset", name));
  }
  return found->second;
}

const Node* Graph::Producer(std::string_view value) const {
  if (value.empty()) return nullptr;
  for (const Node& node : nodes) {
    if (std::find(node.outputs.begin(), node.outputs.end(), value) != node.outputs.end()) return &node;
  }
  return nullptr;
}

std::vector<const Node*> Graph::Consumers(std::string_view value) const {
  std::vector<const Node*> consumers;
  for (const Node& node : nodes) {
    const std::vector<std::string> used = UsedValues(node);
    if (std::find(used.begin(), used.end(), value) != used.end()) consumers.push_back(&node);
  }
  return consumers;
}

const ValueInfo* Graph::FindInput(std::string_view value) const {
  const auto found =
      std::find_if(inputs.begin(), inputs.end(), [&](const ValueInfo& v) { return v.name == value; });
  return found == inputs.end() ? nullptr : &*found;
}

std::string Graph::FreshName(const std::string& base) const {
  std::set<std::string> taken;
  for (const ValueInfo& input : inputs) taken.insert(input.name);
  for (const auto& [value, tensor] : initializers) taken.insert(value);
  for (const Node& node : nodes) taken.insert(node.outputs.begin(), node.outputs.end());
  std::string fresh = base;
  for (int i = 2; taken.contains(fresh); ++i) fresh = fmt::format("{}_{}", base, i);
  return fresh;
}

std::string Penultimate(const Graph& graph) {
  const auto named = graph.metadata.find("strop.penultimate");
  if (named != graph.metadata.end()) return named->second;
  if (graph.outputs.empty()) return "";
  // Walk back from the first output, the latest node first, to the last layer whose weights are constant.
  const std::set<std::string> constant = ConstantValues(graph);
  std::set<std::string> wanted = {graph.outputs[0].name};
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool needed = std::any_of(node->outputs.begin(), node->outputs.end(),
                                    [&](const std::string& value) { return wanted.contains(value); });
    if (!needed) continue;
    const bool layer =
        node->domain.empty() && (node->op == "Gemm" || node->op == "MatMul" || node->op == "Conv");
    if (layer && node->inputs.size() >= 2) {
      if (constant.contains(node->inputs[1])) return node->inputs[0];
      if (constant.contains(node->inputs[0])) return node->inputs[1];
    }
    wanted.insert(node->inputs.begin(), node->inputs.end());
  }
  return "";
}

}  // namespace strop::model
