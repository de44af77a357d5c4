#include "strop/model/reference/evaluator.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/model/dims.h"
#include "strop/model/reference/control.h"
#include "strop/model/reference/operator.h"
#include "strop/model/subgraph.h"

namespace strop::model::reference {
namespace {

using Registry = std::map<std::string_view, Operator>;

Registry RegistryOf(std::initializer_list<std::span<const Operator>> families) {
  Registry registry;
  for (const auto& family : families)
    for (const Operator& row : family) registry.emplace(row.op, row);
  return registry;
}

const Operator* Find(const Node& node) {
  static const std::map<std::string_view, Registry> kDomains = {
      {"", RegistryOf({UnaryOperators(),      BinaryOperators(),
                       ShapeOperators(),      MoveOperators(),
                       ConvOperators(),       PoolOperators(),
                       MatMulOperators(),     NormalizeOperators(),
                       ReduceOperators(),     QuantizeOperators(),
                       BitOperators(),        CumulativeOperators(),
                       DetOperators(),        TensorScatterOperators(),
                       BlockOperators(),      TopKOperators(),
                       UnpoolOperators(),     ResizeOperators(),
                       AttentionOperators(),  LinearAttentionOperators(),
                       CausalConvOperators(), GridSampleOperators(),
                       DeformConvOperators(), TfIdfOperators(),
                       DftOperators(),        SuppressOperators()})},
      {"ai.onnx.ml", RegistryOf({MlOperators()})},
  };
  const auto domain = kDomains.find(node.domain);
  if (domain == kDomains.end()) return nullptr;
  const auto found = domain->second.find(node.op);
  return found == domain->second.end() ? nullptr : &found->second;
}

void CheckInput(const ValueInfo& declared, const TensorMap& inputs) {
  const auto found = inputs.find(declared.name);
  if (found == inputs.end() || !found->second) {
    throw Error(Code::kInvalidArgument, fmt::format("the input {} is missing", declared.name));
  }
  const Tensor& tensor = found->second;
  bool fits = tensor.dtype() == declared.dtype;
  if (declared.has_shape) {
    fits = fits && tensor.shape().size() == declared.shape.size();
    for (size_t i = 0; fits && i < declared.shape.size(); ++i) {
      fits = declared.shape[i] < 0 || declared.shape[i] == tensor.shape()[i];
    }
  }
  if (!fits) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the input {} is {}{}, expected {}{}", declared.name, DTypeName(tensor.dtype()),
                            ShapeText(tensor.shape()), DTypeName(declared.dtype),
                            declared.has_shape ? ShapeText(declared.shape) : " of any shape"));
  }
}

const Tensor& Value(const TensorMap& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end()) {
    throw Error(Code::kInvalidArgument, fmt::format("the graph has no value {}", name));
  }
  return found->second;
}

// Which nodes the wanted values need.
std::vector<bool> Needed(const Graph& graph, const std::vector<std::string>& wanted) {
  std::set<std::string> values(wanted.begin(), wanted.end());
  std::vector<bool> needed(graph.nodes.size(), false);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    needed[i] = std::any_of(node.outputs.begin(), node.outputs.end(),
                            [&](const auto& v) { return values.contains(v); });
    if (!needed[i]) continue;
    for (std::string& value : UsedValues(node)) values.insert(std::move(value));
  }
  return needed;
}

std::vector<std::string> NamesOf(const std::vector<ValueInfo>& values) {
  std::vector<std::string> names;
  for (const ValueInfo& value : values) names.push_back(value.name);
  return names;
}

// Adds to `values` what the wanted ones need. They hold the graph's inputs, its initializers and what lies
// around it.
void RunNodes(const Graph& graph, int64_t opset, const std::vector<std::string>& wanted, TensorMap& values) {
  const std::vector<bool> needed = Needed(graph, wanted);
  const RunBody body_runner = [&](const Graph& body, const TensorMap& scope) {
    TensorMap inside = scope;
    for (const auto& [name, tensor] : body.initializers) inside[name] = tensor;
    const std::vector<std::string> names = NamesOf(body.outputs);
    RunNodes(body, opset, names, inside);
    Results answers;
    for (const std::string& name : names) answers.push_back(Value(inside, name));
    return answers;
  };
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!needed[i]) continue;
    const Node& node = graph.nodes[i];
    if (node.op == "QuantizeLinear" && node.inputs.size() > 2 && graph.packed4.contains(node.inputs[2])) {
      throw Error(Code::kUnsupported,
                  fmt::format("node {} (QuantizeLinear): quantizing to 4 bits at run time", node.name));
    }
    std::vector<Tensor> arguments;
    for (const std::string& input : node.inputs)
      arguments.push_back(input.empty() ? Tensor() : Value(values, input));
    const int64_t version = node.domain.empty() ? opset : 0;
    const std::vector<Tensor> results = IsControl(node, opset)
                                            ? EvaluateControl({node, opset, arguments}, values, body_runner)
                                            : EvaluateNode(node, version, arguments);
    for (size_t k = 0; k < std::min(results.size(), node.outputs.size()); ++k) {
      if (!node.outputs[k].empty()) values[node.outputs[k]] = results[k];
    }
  }
}

}  // namespace

const Tensor& Call::In(size_t input) const {
  if (!Has(input)) Fail(fmt::format("the input at position {} is missing", input));
  return inputs[input];
}

std::vector<int64_t> Call::Ints(size_t input) const {
  const Tensor& tensor = In(input);
  if (tensor.dtype() != DType::kI64 && tensor.dtype() != DType::kI32) {
    Fail(fmt::format("the input at position {} is {}, expected int64", input, DTypeName(tensor.dtype())));
  }
  const Tensor wide = tensor.Cast(DType::kI64);
  const auto values = wide.As<int64_t>();
  return {values.begin(), values.end()};
}

std::vector<int64_t> Call::IntsSince(int64_t since, const char* attribute, size_t input,
                                     std::vector<int64_t> fallback) const {
  if (opset < since) return node.Ints(attribute, std::move(fallback));
  return Has(input) ? Ints(input) : fallback;
}

void Call::Fail(const std::string& message) const { ThrowNode(node, message); }

void Call::Refuse(const std::string& message) const {
  throw Error(Code::kUnsupported, fmt::format("node {} ({}): {}", node.name, node.op, message));
}

bool Supports(const Node& node, int64_t opset) {
  const Operator* row = Find(node);
  return row != nullptr && opset >= row->min_opset;
}

std::vector<Tensor> EvaluateNode(const Node& node, int64_t opset, const std::vector<Tensor>& inputs) {
  if (!Supports(node, opset)) {
    throw Error(Code::kUnsupported,
                fmt::format("node {}: the reference evaluator does not know {}{}{} of opset {}", node.name,
                            node.domain, node.domain.empty() ? "" : ".", node.op, opset));
  }
  Results results;
  try {
    results = Find(node)->evaluate({node, opset, inputs});
  } catch (const Error& error) {
    // An operator asks for the elements as of the type that the specification gives them.
    if (error.code() != Code::kInternal) throw;
    ThrowNode(node, fmt::format("it does not take its inputs' types: {}", error.what()));
  }
  if (results.size() < node.outputs.size()) {
    throw Error(Code::kUnsupported,
                fmt::format("node {} ({}): the reference evaluator makes {} of its {} outputs", node.name,
                            node.op, results.size(), node.outputs.size()));
  }
  results.resize(node.outputs.size());
  return results;
}

bool SupportsAll(const Graph& graph, int64_t opset) {
  return std::all_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
    if (!IsControl(node, opset)) return Supports(node, node.domain.empty() ? opset : 0);
    const std::vector<Graph> bodies = Bodies(node);
    return std::all_of(bodies.begin(), bodies.end(),
                       [&](const Graph& body) { return SupportsAll(body, opset); });
  });
}

TensorMap Evaluate(const Graph& graph, const TensorMap& inputs, const std::vector<std::string>& wanted) {
  const std::vector<std::string> asked = wanted.empty() ? NamesOf(graph.outputs) : wanted;
  TensorMap values = graph.initializers;
  for (const ValueInfo& input : graph.inputs) {
    CheckInput(input, inputs);
    values[input.name] = inputs.at(input.name);
  }
  RunNodes(graph, graph.opset(), asked, values);
  TensorMap answer;
  for (const std::string& name : asked) answer[name] = Value(values, name);
  return answer;
}

}  // namespace strop::model::reference
