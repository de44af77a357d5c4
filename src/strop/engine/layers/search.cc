#include "strop/engine/layers/search.h"

#include <algorithm>
#include <limits>

namespace strop::engine {

using model::Graph;
using model::Node;
using model::ValueInfo;

bool IsQuantizer(const Node& node) {
  return node.domain.empty() &&
         (node.op == "QuantizeLinear" || node.op == "DequantizeLinear" || node.op == "DynamicQuantizeLinear");
}

bool IsByte(DType dtype) { return dtype == DType::kU8 || dtype == DType::kI8; }

Search::Search(const Graph& graph, const std::map<std::string, ValueInfo>& values,
               const std::set<std::string>& kept)
    : graph_(graph), values_(values), kept_(kept), taken_(graph.nodes.size(), false) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& value : graph.nodes[i].outputs) producers_[value] = i;
    for (const std::string& value : graph.nodes[i].inputs)
      if (!value.empty()) consumers_[value].push_back(i);
  }
}

void Search::Take(const std::vector<size_t>& nodes) {
  for (const size_t node : nodes) taken_[node] = true;
}

bool Search::Is(size_t node, const char* op) const {
  return node != kNoNode && !taken_[node] && graph_.nodes[node].domain.empty() && graph_.nodes[node].op == op;
}

size_t Search::Producer(const std::string& value) const {
  const auto found = producers_.find(value);
  return found == producers_.end() ? kNoNode : found->second;
}

const std::vector<size_t>& Search::Consumers(const std::string& value) const {
  static const std::vector<size_t> kNone;
  const auto found = consumers_.find(value);
  return found == consumers_.end() ? kNone : found->second;
}

size_t Search::OnlyConsumer(const std::string& value) const {
  const std::vector<size_t>& readers = Consumers(value);
  return readers.size() == 1 && !IsKept(value) ? readers[0] : kNoNode;
}

size_t Search::Next(const std::string& value, const char* op) const {
  const size_t consumer = OnlyConsumer(value);
  return Is(consumer, op) ? consumer : kNoNode;
}

const ValueInfo* Search::Value(const std::string& value) const {
  const auto found = values_.find(value);
  return found == values_.end() ? nullptr : &found->second;
}

bool Search::IsFloat(const std::string& value) const {
  const ValueInfo* info = Value(value);
  return info != nullptr && info->dtype == DType::kF32;
}

const Tensor* Search::Constant(const std::string& value) const {
  const auto found = graph_.initializers.find(value);
  return found == graph_.initializers.end() ? nullptr : &found->second;
}

const Tensor* Search::FloatConstant(const std::string& value) const {
  const Tensor* tensor = Constant(value);
  return tensor == nullptr || tensor->dtype() != DType::kF32 ? nullptr : tensor;
}

std::optional<float> Search::Scalar(const std::string& value) const {
  const Tensor* tensor = FloatConstant(value);
  if (tensor == nullptr || tensor->size() != 1) return std::nullopt;
  return tensor->As<float>()[0];
}

std::optional<Clamp> Search::ClampOf(size_t index) const {
  if (Is(index, "Relu")) return Clamp::Relu();
  if (!Is(index, "Clip")) return std::nullopt;
  const Node& node = graph_.nodes[index];
  const auto bound = [&](size_t input, const char* attribute, float fallback) -> std::optional<float> {
    if (node.inputs.size() > input && !node.inputs[input].empty()) return Scalar(node.inputs[input]);
    return node.Float(attribute, fallback);
  };
  const std::optional<float> low = bound(1, "min", std::numeric_limits<float>::lowest());
  const std::optional<float> high = bound(2, "max", std::numeric_limits<float>::max());
  if (!low || !high || !(*low <= *high)) return std::nullopt;
  return Clamp(*low, *high);
}

size_t Search::Dequantizer(const std::string& value) const {
  const size_t node = Producer(value);
  return Is(node, "DequantizeLinear") && OnlyConsumer(value) != kNoNode &&
                 graph_.nodes[node].Int("block_size", 0) == 0
             ? node
             : kNoNode;
}

std::optional<Quantization> Search::QuantizationOf(const Node& node, DType dtype) const {
  const std::optional<float> scale = Scalar(node.inputs[1]);
  if (!scale || !IsByte(dtype)) return std::nullopt;
  Quantization found{dtype, *scale, 0};
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
    const Tensor* zero = Constant(node.inputs[2]);
    if (zero == nullptr || zero->size() != 1 || zero->dtype() != dtype) return std::nullopt;
    found.zero = dtype == DType::kU8 ? zero->As<uint8_t>()[0] : zero->As<int8_t>()[0];
  }
  return found;
}

std::optional<Quantization> Search::Dequantization(size_t node) const {
  const ValueInfo* input = Value(graph_.nodes[node].inputs[0]);
  return input == nullptr ? std::nullopt : QuantizationOf(graph_.nodes[node], input->dtype);
}

std::optional<Search::Between> Search::BytesAround(const std::string& input,
                                                   const std::string& answer) const {
  constexpr float kMostScale = 1e30f;  // beyond it a number may be infinite
  const size_t dequantizer = Dequantizer(input), quantizer = Next(answer, "QuantizeLinear");
  if (dequantizer == kNoNode || quantizer == kNoNode || Constant(node(dequantizer).inputs[0]) != nullptr)
    return std::nullopt;
  const std::optional<Quantization> bytes = Dequantization(dequantizer);
  if (!bytes || !(bytes->scale > 0 && bytes->scale < kMostScale) || QuantizationInto(quantizer) != bytes)
    return std::nullopt;
  return Between{dequantizer, quantizer, *bytes};
}

bool Search::IsWeights(size_t dequantizer, size_t rank, int64_t axis) const {
  const Node& node = graph_.nodes[dequantizer];
  const Tensor* const weights = Constant(node.inputs[0]);
  const Tensor* const scale = FloatConstant(node.inputs[1]);
  if (weights == nullptr || scale == nullptr || weights->shape().size() != rank || !IsByte(weights->dtype()))
    return false;
  const auto own = static_cast<int64_t>(rank);
  if (scale->size() != 1 && ((node.Int("axis", 1) + own) % own != axis ||
                             scale->size() != weights->shape()[static_cast<size_t>(axis)]))
    return false;
  const Tensor* zero = node.inputs.size() > 2 && !node.inputs[2].empty() ? Constant(node.inputs[2]) : nullptr;
  if (zero == nullptr) return weights->dtype() == DType::kI8 && node.inputs.size() < 3;
  if (zero->dtype() != weights->dtype()) return false;
  const auto all = [](auto values, int wanted) {
    return std::all_of(values.begin(), values.end(), [&](int value) { return value == wanted; });
  };
  return zero->dtype() == DType::kI8 ? all(zero->As<int8_t>(), 0) : all(zero->As<uint8_t>(), 128);
}

std::optional<Search::Bias> Search::BiasOf(const std::string& value, int64_t n, bool integers) const {
  if (const Tensor* bias = FloatConstant(value)) {
    if (bias->size() != 1 && (bias->size() != n || bias->shape().back() != n)) return std::nullopt;
    return Bias{value, {}, kNoNode};
  }
  const size_t dequantizer = integers ? Dequantizer(value) : kNoNode;
  if (dequantizer == kNoNode) return std::nullopt;
  const Node& node = graph_.nodes[dequantizer];
  const Tensor* bias = Constant(node.inputs[0]);
  const Tensor* scale = FloatConstant(node.inputs[1]);
  const Tensor* zero = node.inputs.size() > 2 && !node.inputs[2].empty() ? Constant(node.inputs[2]) : nullptr;
  if (bias == nullptr || scale == nullptr || bias->dtype() != DType::kI32 || bias->shape().size() > 1 ||
      bias->size() != n || (scale->size() != 1 && scale->size() != n))
    return std::nullopt;
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
    if (zero == nullptr || zero->dtype() != DType::kI32) return std::nullopt;
    const auto zeros = zero->As<int32_t>();
    if (std::any_of(zeros.begin(), zeros.end(), [](int32_t each) { return each != 0; })) return std::nullopt;
  }
  return Bias{node.inputs[0], node.inputs[1], dequantizer};
}

std::optional<Quantization> Search::QuantizationInto(size_t index) const {
  const Node& node = graph_.nodes[index];
  const ValueInfo* answer = Value(node.outputs[0]);
  if (answer == nullptr || node.Int("block_size", 0) != 0 || node.Int("precision", 0) != 0)
    return std::nullopt;
  return QuantizationOf(node, answer->dtype);
}

}  // namespace strop::engine
