#include "strop/engine/layers/search.h"

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

std::optional<Quantization> Search::QuantizationInto(size_t index) const {
  const Node& node = graph_.nodes[index];
  const ValueInfo* answer = Value(node.outputs[0]);
  if (answer == nullptr || node.Int("block_size", 0) != 0 || node.Int("precision", 0) != 0)
    return std::nullopt;
  return QuantizationOf(node, answer->dtype);
}

}  // namespace strop::engine
