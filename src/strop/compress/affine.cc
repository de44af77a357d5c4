#include "strop/compress/affine.h"

#include <cmath>

namespace strop::compress {
namespace {

std::optional<double> ScalarConstant(const model::Graph& graph, const std::string& value) {
  const auto found = graph.initializers.find(value);
  if (found == graph.initializers.end() || found->second.size() != 1) return std::nullopt;
  return found->second.Cast(DType::kF64).As<double>()[0];
}

}  // namespace

std::optional<ExactInput> FindExactInput(const model::Graph& graph, const std::string& value) {
  // value = factor * current + offset
  double factor = 1, offset = 0;
  std::string current = value;
  while (graph.FindInput(current) == nullptr) {
    const model::Node* node = graph.Producer(current);
    if (node == nullptr) return std::nullopt;
    const bool to_float = node->op == "Cast" && node->Int("to", 0) == 1;
    if (to_float || node->op == "Identity") {
      current = node->inputs.at(0);
      continue;
    }
    if (node->inputs.size() != 2) return std::nullopt;
    std::optional<double> right = ScalarConstant(graph, node->inputs[1]);
    std::string next = node->inputs[0];
    if (!right && (node->op == "Mul" || node->op == "Add")) {
      right = ScalarConstant(graph, node->inputs[0]);
      next = node->inputs[1];
    }
    if (!right) return std::nullopt;
    // Integer arithmetic truncates; only a chain that is cast first is followed.
    const auto constant = graph.initializers.find(node->inputs[next == node->inputs[0] ? 1 : 0]);
    if (constant->second.dtype() != DType::kF32) return std::nullopt;
    if (node->op == "Mul") {
      factor *= *right;
    } else if (node->op == "Div" && *right != 0) {
      factor /= *right;
    } else if (node->op == "Add") {
      offset += factor * *right;
    } else if (node->op == "Sub") {
      offset -= factor * *right;
    } else {
      return std::nullopt;
    }
    current = next;
  }
  if (graph.FindInput(current)->dtype != DType::kU8 || current == value) return std::nullopt;
  if (!(factor > 0) || !std::isfinite(factor)) return std::nullopt;
  const double zero_point = -offset / factor;
  const double rounded = std::round(zero_point);
  if (rounded < 0 || rounded > 255 || std::abs(zero_point - rounded) > 1e-4) return std::nullopt;
  return ExactInput{current, static_cast<float>(factor), static_cast<uint8_t>(rounded)};
}

}  // namespace strop::compress
