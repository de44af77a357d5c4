#include "strop/engine/openvino_limits.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "strop/model/subgraph.h"

namespace strop::engine {
namespace {

using model::Graph;
using model::Node;
using model::ValueInfo;
using Reason = std::optional<std::string>;

struct Operator {
  std::string_view op, attributes;
};
constexpr Operator kOperators[] = {
#define STROP_OPENVINO(op, attributes) {#op, attributes},
#include "strop/engine/openvino_operators.inc"
#undef STROP_OPENVINO
};

// Whether `word` is one of the words of a list with single spaces.
bool HasWord(std::string_view words, std::string_view word) {
  for (size_t at = words.find(word); at != std::string_view::npos; at = words.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || words[at - 1] == ' ') && (end == words.size() || words[end] == ' ')) return true;
  }
  return false;
}

Reason Unknown(const Node& node) {
  const auto found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                  [&](const Operator& row) { return row.op == node.op; });
  if (found == std::end(kOperators)) return "OpenVINO does not know it";
  for (const auto& [name, value] : node.attributes) {
    if (!HasWord(found->attributes, name)) return fmt::format("OpenVINO passes over its attribute {}", name);
  }
  return std::nullopt;
}

// A node with what the predicates ask about its surroundings.
struct Place {
  const Graph& graph;
  const Node& node;
  const std::map<std::string, ValueInfo>& values;
  const std::map<std::string, const Node*>& producers;

  bool Given(size_t input) const { return input < node.inputs.size() && !node.inputs[input].empty(); }
  const Tensor* Constant(size_t input) const {
    if (!Given(input)) return nullptr;
    const auto found = graph.initializers.find(node.inputs[input]);
    return found == graph.initializers.end() ? nullptr : &found->second;
  }
  bool Typed(size_t input) const { return Given(input) && values.contains(node.inputs[input]); }
  // Unknown types count as floats.
  bool IsFloat(size_t input) const {
    if (!Given(input)) return false;
    const auto found = values.find(node.inputs[input]);
    if (found == values.end()) return true;
    const DType dtype = found->second.dtype;
    return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16;
  }
  const Node* Producer(size_t input) const { return Given(input) ? ProducerOf(node.inputs[input]) : nullptr; }
  const Node* ProducerOf(const std::string& value) const {
    const auto found = producers.find(value);
    return found == producers.end() ? nullptr : found->second;
  }
};

// Scales that make whole sizes of whole sizes: otherwise the specification aligns the corners of a fraction.
bool WholeScales(const Tensor& scales) {
  const Tensor wide = scales.Cast(DType::kF64);
  const auto values = wide.As<double>();
  return std::all_of(values.begin(), values.end(), [](double scale) { return scale == std::floor(scale); });
}

Reason Resize(const Place& place) {
  if (place.node.Text("coordinate_transformation_mode", "half_pixel") != "align_corners") return std::nullopt;
  if (place.Given(3) || !place.Given(2)) return std::nullopt;
  const Tensor* scales = place.Constant(2);
  if (scales && WholeScales(*scales)) return std::nullopt;
  return "OpenVINO aligns the corners of the rounded size";
}

// OpenVINO has no window that would start in the padding at the end left out, which a kernel no longer than
// stride and pads can bring about.
Reason Pool(const Place& place) {
  const Node& node = place.node;
  if (node.Int("ceil_mode", 0) == 0) return std::nullopt;
  const std::vector<int64_t> kernel = node.Ints("kernel_shape"), strides = node.Ints("strides"),
                             pads = node.Ints("pads"), dilations = node.Ints("dilations");
  for (size_t axis = 0; axis < kernel.size(); ++axis) {
    const int64_t extent = (axis < dilations.size() ? dilations[axis] : 1) * (kernel[axis] - 1) + 1;
    const int64_t stride = axis < strides.size() ? strides[axis] : 1;
    const int64_t pad = pads.size() == 2 * kernel.size() ? pads[kernel.size() + axis] : 0;
    if (pad + stride > extent) return "OpenVINO counts windows that lie in the padding";
  }
  return std::nullopt;
}

// What masks whole rows, or asks for more than the answer.
Reason Attention(const Place& place) {
  for (size_t input = 3; input < place.node.inputs.size(); ++input) {
    if (place.Given(input)) return "OpenVINO does not answer rows that are masked whole as specified";
  }
  if (place.node.outputs.size() > 1) return "OpenVINO answers its first output only as specified";
  return std::nullopt;
}

Reason Round(const Place& place) {
  const std::string& op = place.node.op;
  if (op != "Round" && op != "Floor" && op != "Ceil") return std::nullopt;
  const Node* from = place.Producer(0);
  if (from && from->op == "Div" && place.IsFloat(0))
    return "OpenVINO divides by multiplying, which moves quotients across the border of a rounding";
  return std::nullopt;
}

// The way back from bytes is moved behind the reduction, which then is of bytes.
Reason Reduction(const Place& place) {
  static constexpr std::string_view kMoves[] = {"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"};
  if (!place.node.op.starts_with("Reduce")) return std::nullopt;
  const Node* from = place.Producer(0);
  while (from && std::find(std::begin(kMoves), std::end(kMoves), from->op) != std::end(kMoves))
    from = place.ProducerOf(from->inputs[0]);
  if (from && from->op == "DequantizeLinear")
    return "OpenVINO reduces all images but the first wrongly in bytes";
  return std::nullopt;
}

// Whether it scales by constants of which one is negative.
bool Mirrors(const Place& place, const Node& node) {
  const bool norm = node.op == "BatchNormalization";
  if (!norm && node.op != "Mul" && node.op != "Div") return false;
  for (size_t input = norm ? 1 : 0; input < 2; ++input) {
    const auto constant = place.graph.initializers.find(node.inputs[input]);
    if (constant == place.graph.initializers.end() || constant->second.dtype() != DType::kF32) continue;
    const auto values = constant->second.As<float>();
    if (std::any_of(values.begin(), values.end(), [](float value) { return value < 0; })) return true;
  }
  return false;
}

// A scale in front is taken into the quantizer, and a bias between.
Reason Quantizer(const Place& place) {
  if (!place.Constant(1))
    return "OpenVINO divides by multiplying, which moves quotients across the border of a rounding";
  const Node* from = place.Producer(0);
  for (size_t input = 0; from && (from->op == "Add" || from->op == "Sub") && input < 2; ++input) {
    if (!place.graph.IsInitializer(from->inputs[1 - input])) continue;
    from = place.ProducerOf(from->inputs[input]);
    break;
  }
  if (from && Mirrors(place, *from)) return "OpenVINO quantizes what a negative constant scales wrongly";
  return std::nullopt;
}

bool IgnoresAxes(const Place& place) {
  const std::string& op = place.node.op;
  const int64_t opset = place.graph.opset();
  return (op == "ReduceL1" || op == "ReduceLogSum" || op == "ReduceLogSumExp") && opset >= 13 && opset < 18 &&
         place.node.attributes.contains("axes");
}

Reason Special(const Place& place) {
  const std::string& op = place.node.op;
  if (IgnoresAxes(place)) return "OpenVINO passes over its axes at the opsets 13 to 17";
  if (op == "BitShift") return "OpenVINO shifts signed numbers and over the width otherwise";
  if (op == "TopK") return "OpenVINO does not put the lower index first among equals";
  if (op == "DynamicQuantizeLinear")
    return "OpenVINO divides by multiplying, which moves quotients across the border of a rounding";
  if (op == "QuantizeLinear") return Quantizer(place);
  if (op == "DFT") return "OpenVINO minds neither the axis nor one side as specified";
  if (op == "NonMaxSuppression") return "OpenVINO's overlaps are not exact";
  if (op == "Pad" && place.Given(2) && !place.Constant(2)) return "OpenVINO pads with 0 for a computed value";
  if (op == "Tile" && !place.Constant(1)) return "OpenVINO does not write all of a tile of computed repeats";
  if ((op == "ReduceMax" || op == "ReduceMin") && !place.Typed(0))
    return "OpenVINO starts at the largest finite number, which is mended for known types only";
  if (const Reason reason = Reduction(place)) return reason;
  if (op == "LSTM" && place.Given(7)) return "OpenVINO passes over peepholes";
  if ((op == "LSTM" || op == "GRU" || op == "RNN") && place.node.Int("layout", 0) != 0)
    return "OpenVINO gives the last state of another layout another shape";
  if (op == "RoiAlign" && place.node.Text("mode", "avg") == "max")
    return "OpenVINO takes the largest of interpolated values";
  if (op == "Resize") return Resize(place);
  if (op == "MaxPool" || op == "AveragePool" || op == "LpPool") return Pool(place);
  if (op == "Attention") return Attention(place);
  return Round(place);
}

Reason Inner(const Graph& graph, const Node& node) {
  for (const auto& [name, attribute] : node.attributes) {
    const auto* subgraph = std::get_if<model::SubgraphBytes>(&attribute);
    if (!subgraph) continue;
    Graph body = model::ReadSubgraph(*subgraph);
    body.opsets = graph.opsets;
    const auto beyond = BeyondOpenVino(body, {});
    if (beyond.empty()) continue;
    const Node& first = body.nodes[beyond.begin()->first];
    return fmt::format("of node {} ({}) in its {}: {}", first.name, first.op, name, beyond.begin()->second);
  }
  return std::nullopt;
}

}  // namespace

std::map<size_t, std::string> BeyondOpenVino(const Graph& graph,
                                             const std::map<std::string, ValueInfo>& values) {
  std::map<size_t, std::string> beyond;
  std::map<std::string, const Node*> producers;
  for (const Node& node : graph.nodes)
    for (const std::string& value : node.outputs) producers[value] = &node;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (!node.domain.empty()) continue;
    const Place place{graph, node, values, producers};
    Reason reason = Unknown(node);
    if (!reason) reason = Special(place);
    if (!reason) reason = Inner(graph, node);
    if (!reason) continue;
    beyond[i] = *reason;
    if (Round(place))  // the quotient itself has to be the exact one
      beyond.emplace(static_cast<size_t>(place.Producer(0) - graph.nodes.data()), *reason);
  }
  return beyond;
}

}  // namespace strop::engine
