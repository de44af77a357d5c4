#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "strop/model/graph.h"

// Internal: the operators of ONNX written with torch's. Differentiable wherever the operator is.
namespace strop::train {

struct OperatorCall {
  const model::Node& node;
  int64_t opset;
  bool training;  // Dropout drops, BatchNormalization uses and updates the batch's statistics
  std::vector<at::Tensor> inputs;               // as the node lists them; undefined where absent
  const at::Tensor& Input(size_t index) const;  // throws kInvalidArgument naming the node when it is absent
  bool Has(size_t index) const { return index < inputs.size() && inputs[index].defined(); }
};

using Operator = at::Tensor (*)(const OperatorCall& call);

// nullptr when there is none.
Operator FindOperator(const model::Node& node);
// "Add, AveragePool, …" for messages.
std::string KnownOperators();

at::ScalarType ToTorch(DType dtype);
// Shares memory.
at::Tensor ToTorch(const Tensor& tensor);
// Copies. `where` names the value in the message for a dtype that Strop has not.
Tensor FromTorch(const at::Tensor& tensor, std::string_view where);

}  // namespace strop::train
