#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::model::reference {

// One node to compute. Inputs are as the node lists them; an absent one is an empty Tensor.
struct Call {
  const Node& node;
  int64_t opset;
  std::span<const Tensor> inputs;

  bool Has(size_t input) const { return input < inputs.size() && inputs[input]; }
  // Throws kInvalidArgument when it is absent.
  const Tensor& In(size_t input) const;
  // An absent optional input is nullptr.
  const Tensor* Optional(size_t input) const { return Has(input) ? &inputs[input] : nullptr; }
  // int32 or int64 input as a list.
  std::vector<int64_t> Ints(size_t input) const;
  // Axes and the like that were an attribute until opset `since` and are an input from then on.
  std::vector<int64_t> IntsSince(int64_t since, const char* attribute, size_t input,
                                 std::vector<int64_t> fallback = {}) const;
  [[noreturn]] void Fail(const std::string& message) const;
  // kUnsupported, for what the specification allows and this evaluator does not do.
  [[noreturn]] void Refuse(const std::string& message) const;
};

using Results = std::vector<Tensor>;
using Function = Results (*)(const Call& call);

// A row of the registry: the first opset whose meaning the function has.
struct Operator {
  std::string_view op;
  int64_t min_opset;
  Function evaluate;
};

// The families, one file each.
std::span<const Operator> UnaryOperators();
std::span<const Operator> BinaryOperators();
std::span<const Operator> ShapeOperators();
std::span<const Operator> MoveOperators();
std::span<const Operator> ConvOperators();
std::span<const Operator> PoolOperators();
std::span<const Operator> MatMulOperators();
std::span<const Operator> NormalizeOperators();
std::span<const Operator> ReduceOperators();
std::span<const Operator> QuantizeOperators();
std::span<const Operator> BitOperators();
std::span<const Operator> CumulativeOperators();
std::span<const Operator> DetOperators();
std::span<const Operator> TensorScatterOperators();
std::span<const Operator> BlockOperators();
std::span<const Operator> TopKOperators();
std::span<const Operator> UnpoolOperators();
std::span<const Operator> ResizeOperators();
std::span<const Operator> AttentionOperators();
std::span<const Operator> LinearAttentionOperators();
std::span<const Operator> CausalConvOperators();
std::span<const Operator> GridSampleOperators();
std::span<const Operator> DeformConvOperators();
std::span<const Operator> TfIdfOperators();
std::span<const Operator> DftOperators();
std::span<const Operator> SuppressOperators();
std::span<const Operator> MlOperators();  // of ai.onnx.ml, whatever its version

}  // namespace strop::model::reference
