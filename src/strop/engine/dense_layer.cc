#include "strop/engine/dense_layer.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "strop/engine/kernels/int8_gemm/int8_gemm.h"
#include "strop/model/subgraph.h"

namespace strop::engine {
namespace {

using model::Graph;
using model::Node;
using model::ValueInfo;

constexpr size_t kNone = static_cast<size_t>(-1);

struct Uses {
  std::map<std::string, size_t> producer;
  std::map<std::string, std::vector<size_t>> consumers;

  explicit Uses(const Graph& graph) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      for (const std::string& value : graph.nodes[i].outputs) producer[value] = i;
      for (const std::string& value : graph.nodes[i].inputs) {
        if (!value.empty()) consumers[value].push_back(i);
      }
    }
  }
  size_t Producer(const std::string& value) const {
    const auto found = producer.find(value);
    return found == producer.end() ? kNone : found->second;
  }
  // The one node that reads the value; kNone when there are several or none.
  size_t OnlyConsumer(const std::string& value) const {
    const auto found = consumers.find(value);
    return found != consumers.end() && found->second.size() == 1 ? found->second[0] : kNone;
  }
};

bool Is(const Node& node, const char* op) { return node.domain.empty() && node.op == op; }

bool IsQuantization(const Node& node) {
  return node.op == "QuantizeLinear" || node.op == "DequantizeLinear" || node.op == "DynamicQuantizeLinear";
}

bool IsByte(DType dtype) { return dtype == DType::kU8 || dtype == DType::kI8; }

const Tensor* Constant(const Graph& graph, const std::string& value) {
  const auto found = graph.initializers.find(value);
  return found == graph.initializers.end() ? nullptr : &found->second;
}
const Tensor* FloatConstant(const Graph& graph, const std::string& value) {
  const Tensor* tensor = Constant(graph, value);
  return tensor == nullptr || tensor->dtype() != DType::kF32 ? nullptr : tensor;
}

// A bias that adds the same to every row: n elements in the last dimension, or one.
bool IsBias(const Tensor& tensor, int64_t n) {
  const Shape& shape = tensor.shape();
  return tensor.size() == 1 || (tensor.size() == n && shape.back() == n);
}

// The search for one layer, from the node that multiplies.
class Match {
 public:
  Match(const Graph& graph, const std::map<std::string, ValueInfo>& values, const std::set<std::string>& kept,
        const Uses& uses)
      : graph_(graph), values_(values), kept_(kept), uses_(uses) {}

  std::optional<DenseLayer> At(size_t index) {
    const Node& node = graph_.nodes[index];
    if ((!Is(node, "Gemm") && !Is(node, "MatMul")) || node.inputs.size() < 2) return std::nullopt;
    layer_.nodes = {index};
    layer_.product = index;
    layer_.input = node.inputs[0];
    layer_.weight = node.inputs[1];
    layer_.output = node.outputs[0];
    if (node.op == "Gemm") {
      if (node.Int("transA", 0) != 0) return std::nullopt;
      layer_.transposed = node.Int("transB", 0) != 0;
      layer_.weight_scale = node.Float("alpha", 1);
      layer_.bias_scale = node.Float("beta", 1);
    }
    const bool integers = TakeIntegers();
    if (!TakeOperands(node) || !TakeBias(node)) return std::nullopt;
    if (const size_t relu = Next("Relu"); relu != kNone) {
      layer_.relu = true;
      Append(relu);
    }
    if (integers) {
      TakeOutput();
    } else if (TouchesQuantization()) {
      return std::nullopt;
    }
    std::sort(layer_.nodes.begin(), layer_.nodes.end());
    return layer_;
  }

 private:
  void Append(size_t node) {
    layer_.nodes.push_back(node);
    layer_.output = graph_.nodes[node].outputs[0];
  }

  // The node of that operator which alone reads the layer's answer.
  size_t Next(const char* op) const {
    const size_t consumer = kept_.contains(layer_.output) ? kNone : uses_.OnlyConsumer(layer_.output);
    return consumer != kNone && Is(graph_.nodes[consumer], op) ? consumer : kNone;
  }

  // The DequantizeLinear that makes the value for nothing else; kNone: there is none such.
  size_t Dequantizer(const std::string& value) const {
    const size_t node = uses_.Producer(value);
    return node != kNone && Is(graph_.nodes[node], "DequantizeLinear") && !kept_.contains(value) &&
                   uses_.OnlyConsumer(value) != kNone && graph_.nodes[node].Int("block_size", 0) == 0
               ? node
               : kNone;
  }

  // Of a QuantizeLinear or DequantizeLinear with one scale for all.
  std::optional<Quantization> QuantizationOf(const Node& node, DType dtype) const {
    const Tensor* scale = FloatConstant(graph_, node.inputs[1]);
    if (scale == nullptr || scale->size() != 1 || !IsByte(dtype)) return std::nullopt;
    Quantization found{dtype, scale->As<float>()[0], 0};
    if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
      const Tensor* zero = Constant(graph_, node.inputs[2]);
      if (zero == nullptr || zero->size() != 1 || zero->dtype() != dtype) return std::nullopt;
      found.zero = dtype == DType::kU8 ? zero->As<uint8_t>()[0] : zero->As<int8_t>()[0];
    }
    return found;
  }

  // Whether weights are int8 without a zero point, or uint8 around 128.
  bool Centred(const Node& node, const Tensor& weight) const {
    const Tensor* zero =
        node.inputs.size() > 2 && !node.inputs[2].empty() ? Constant(graph_, node.inputs[2]) : nullptr;
    if (zero == nullptr) return weight.dtype() == DType::kI8 && node.inputs.size() < 3;
    if (zero->dtype() != weight.dtype()) return false;
    const auto all = [](auto values, int wanted) {
      return std::all_of(values.begin(), values.end(), [&](int value) { return value == wanted; });
    };
    return weight.dtype() == DType::kI8 ? all(zero->As<int8_t>(), 0) : all(zero->As<uint8_t>(), 128);
  }

  // Steps over the DequantizeLinear of input and weights; false: the layer has none of them.
  bool TakeIntegers() {
    const size_t of_input = Dequantizer(layer_.input), of_weight = Dequantizer(layer_.weight);
    if (of_input == kNone || of_weight == kNone || of_input == of_weight) return false;
    const Node& input = graph_.nodes[of_input];
    const Node& weight = graph_.nodes[of_weight];
    const auto value = values_.find(input.inputs[0]);
    const Tensor* const constant = Constant(graph_, weight.inputs[0]);
    const Tensor* const scale = FloatConstant(graph_, weight.inputs[1]);
    if (value == values_.end() || constant == nullptr || scale == nullptr || !IsByte(constant->dtype()) ||
        constant->shape().size() != 2 || !Centred(weight, *constant))
      return false;
    const auto quantization = QuantizationOf(input, value->second.dtype);
    if (!quantization) return false;
    // A scale for each column lies along the columns' axis.
    const int64_t columns = layer_.transposed ? 0 : 1, axis = (weight.Int("axis", 1) + 2) % 2;
    if (scale->size() != 1 &&
        (axis != columns || scale->size() != constant->shape()[static_cast<size_t>(columns)]))
      return false;
    layer_.integers = DenseIntegers{*quantization, weight.inputs[1], {}, {}};
    layer_.input = input.inputs[0];
    layer_.weight = weight.inputs[0];
    layer_.nodes.insert(layer_.nodes.end(), {of_input, of_weight});
    return true;
  }

  bool TakeOperands(const Node& node) {
    const Tensor* weight = Constant(graph_, layer_.weight);
    const auto input = values_.find(layer_.input);
    if (weight == nullptr || weight->shape().size() != 2 || input == values_.end() ||
        graph_.IsInitializer(layer_.input) || input->second.shape.size() < 2)
      return false;
    if (node.op == "Gemm" && input->second.shape.size() != 2) return false;
    if (!layer_.integers && (weight->dtype() != DType::kF32 || input->second.dtype != DType::kF32))
      return false;
    layer_.k = weight->shape()[layer_.transposed ? 1 : 0];
    layer_.n = weight->shape()[layer_.transposed ? 0 : 1];
    return layer_.k > 0 && layer_.n > 0 && (!layer_.integers || layer_.k <= kMostInt8Depth);
  }

  // A constant that may be added; an int32 one with its DequantizeLinear.
  bool TakeConstant(const std::string& value) {
    if (const Tensor* bias = FloatConstant(graph_, value); bias != nullptr && IsBias(*bias, layer_.n)) {
      layer_.bias = value;
      return true;
    }
    const size_t dequantizer = layer_.integers ? Dequantizer(value) : kNone;
    if (dequantizer == kNone) return false;
    const Node& node = graph_.nodes[dequantizer];
    const Tensor* bias = Constant(graph_, node.inputs[0]);
    const Tensor* scale = FloatConstant(graph_, node.inputs[1]);
    const bool zero = node.inputs.size() > 2 && !node.inputs[2].empty();
    if (bias == nullptr || scale == nullptr || zero || bias->dtype() != DType::kI32 ||
        bias->shape().size() > 1 || bias->size() != layer_.n ||
        (scale->size() != 1 && scale->size() != layer_.n))
      return false;
    layer_.bias = node.inputs[0];
    layer_.integers->bias_scale = node.inputs[1];
    layer_.nodes.push_back(dequantizer);
    return true;
  }

  // The third input of Gemm, or the Add that follows; false: Gemm adds what the kernels cannot.
  bool TakeBias(const Node& node) {
    if (node.op == "Gemm" && node.inputs.size() > 2 && !node.inputs[2].empty())
      return TakeConstant(node.inputs[2]);
    const size_t add = Next("Add");
    if (add == kNone) return true;
    const std::vector<std::string>& terms = graph_.nodes[add].inputs;
    const std::string& other = terms[terms[0] == layer_.output ? 1 : 0];
    // A bias of more dimensions than the product would widen it.
    const Tensor* const constant = Constant(graph_, other);
    if (constant != nullptr && constant->shape().size() > values_.at(layer_.input).shape.size()) return true;
    if (!TakeConstant(other)) return true;
    layer_.bias_scale = 1;
    Append(add);
    return true;
  }

  void TakeOutput() {
    const size_t quantizer = Next("QuantizeLinear");
    if (quantizer == kNone) return;
    const Node& node = graph_.nodes[quantizer];
    const auto answer = values_.find(node.outputs[0]);
    if (answer == values_.end() || node.Int("block_size", 0) != 0 || node.Int("precision", 0) != 0) return;
    layer_.integers->output = QuantizationOf(node, answer->second.dtype);
    if (layer_.integers->output) Append(quantizer);
  }

  bool TouchesQuantization() const {
    const size_t producer = uses_.Producer(layer_.input);
    if (producer != kNone && IsQuantization(graph_.nodes[producer])) return true;
    const auto readers = uses_.consumers.find(layer_.output);
    return readers != uses_.consumers.end() &&
           std::any_of(readers->second.begin(), readers->second.end(),
                       [&](size_t reader) { return IsQuantization(graph_.nodes[reader]); });
  }

  const Graph& graph_;
  const std::map<std::string, ValueInfo>& values_;
  const std::set<std::string>& kept_;
  const Uses& uses_;
  DenseLayer layer_;
};

}  // namespace

void PartDequantizers(Graph& graph) {
  const Uses uses(graph);
  std::vector<Node> nodes;
  for (size_t index = 0; index < graph.nodes.size(); ++index) {
    nodes.push_back(graph.nodes[index]);
    if (!Is(nodes.back(), "DequantizeLinear")) continue;
    const auto readers = uses.consumers.find(nodes.back().outputs[0]);
    if (readers == uses.consumers.end()) continue;
    const Node first = nodes.back();
    for (size_t i = 1; i < readers->second.size(); ++i) {
      Node copy = first;
      copy.name = fmt::format("{}/{}", first.name, i);
      copy.outputs[0] = fmt::format("{}/{}", first.outputs[0], i);
      std::vector<std::string>& inputs = graph.nodes[readers->second[i]].inputs;
      *std::find(inputs.begin(), inputs.end(), first.outputs[0]) = copy.outputs[0];
      nodes.push_back(std::move(copy));
    }
  }
  graph.nodes = std::move(nodes);
}

std::vector<DenseLayer> FindDense(const Graph& graph, const std::map<std::string, ValueInfo>& values,
                                  const std::set<std::string>& kept) {
  std::vector<DenseLayer> found;
  // The nodes of a subgraph read values of the graph without naming them as inputs: no cut is safe.
  if (std::any_of(graph.nodes.begin(), graph.nodes.end(), model::HasSubgraph)) return found;
  const Uses uses(graph);
  for (size_t index = 0; index < graph.nodes.size(); ++index) {
    if (std::optional<DenseLayer> layer = Match(graph, values, kept, uses).At(index))
      found.push_back(std::move(*layer));
  }
  return found;
}

}  // namespace strop::engine
