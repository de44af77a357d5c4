#include "strop/engine/openvino_rewrite.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "strop/model/onnx_types.h"

namespace strop::engine {
namespace {

using model::Graph;
using model::Node;
using model::ValueInfo;

bool IsExtreme(const Node& node) {
  return node.domain.empty() && (node.op == "ReduceMax" || node.op == "ReduceMin");
}

bool IsFloat(DType dtype) { return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16; }

Node MakeNode(std::string op, std::vector<std::string> inputs, std::string output,
              std::map<std::string, model::Attribute> attributes = {}) {
  Node node;
  node.op = std::move(op);
  node.name = output;
  node.inputs = std::move(inputs);
  node.outputs = {std::move(output)};
  node.attributes = std::move(attributes);
  return node;
}

// y = Where(there is an element that is no infinity of that sign, extreme, infinity). The elements are
// counted by ReduceSumSquare, which has had the same attributes and inputs at every opset.
void MendExtreme(Graph& graph, Node node, DType dtype, std::vector<Node>& nodes) {
  const bool largest = node.op == "ReduceMax";
  const std::string y = node.outputs[0];
  const auto fresh = [&](const char* what) { return graph.FreshName(y + "_" + what); };
  const std::string infinite = fresh("infinite"), finite = fresh("finite"), ones = fresh("ones"),
                    count = fresh("count"), any = fresh("any"), extreme = fresh("extreme"),
                    infinity = fresh("infinity");
  const double value = largest ? -HUGE_VAL : HUGE_VAL;
  graph.initializers[infinity] = Tensor::From<double>({}, std::span(&value, 1)).Cast(dtype);
  std::vector<std::string> counted = node.inputs;
  counted[0] = ones;
  nodes.push_back(MakeNode(
      "IsInf", {node.inputs[0]}, infinite,
      {{"detect_positive", int64_t{largest ? 0 : 1}}, {"detect_negative", int64_t{largest ? 1 : 0}}}));
  nodes.push_back(MakeNode("Not", {infinite}, finite));
  nodes.push_back(MakeNode("Cast", {finite}, ones, {{"to", model::OnnxType(DType::kF32)}}));
  nodes.push_back(MakeNode("ReduceSumSquare", counted, count, node.attributes));
  nodes.push_back(MakeNode("Cast", {count}, any, {{"to", model::OnnxType(DType::kBool)}}));
  node.outputs[0] = extreme;
  nodes.push_back(std::move(node));
  nodes.push_back(MakeNode("Where", {any, extreme, infinity}, y));
}

}  // namespace

Graph ForOpenVino(Graph graph) {
  if (std::none_of(graph.nodes.begin(), graph.nodes.end(), IsExtreme)) return graph;
  const std::map<std::string, ValueInfo> values = model::InferShapes(graph);
  std::vector<Node> nodes;
  for (const Node& node : graph.nodes) {
    const auto known = IsExtreme(node) ? values.find(node.inputs.at(0)) : values.end();
    if (known != values.end() && IsFloat(known->second.dtype)) {
      MendExtreme(graph, node, known->second.dtype, nodes);
    } else {
      nodes.push_back(node);
    }
  }
  graph.nodes = std::move(nodes);
  return graph;
}

}  // namespace strop::engine
