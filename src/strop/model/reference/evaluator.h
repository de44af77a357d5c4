#pragma once

#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::model::reference {

// Whether Evaluate knows the operator at this opset.
STROP_API bool Supports(const Node& node, int64_t opset);

// Whether Evaluate knows every node of the graph, and of the graphs that If and Scan run.
STROP_API bool SupportsAll(const Graph& graph, int64_t opset);

// Computes the model as the ONNX operator specification writes it: naive loops, float accumulated in double,
// no fusing. For folding, for tests, and as the engine's last fallback; slow on purpose. Answers `wanted`
// (empty: the graph's outputs). Throws kUnsupported naming operator, opset and node; kInvalidArgument for
// inputs that are missing or of another dtype or shape.
STROP_API TensorMap Evaluate(const Graph& graph, const TensorMap& inputs,
                             const std::vector<std::string>& wanted = {});

// One node on its own; inputs as the node lists them (an absent one is an empty Tensor).
STROP_API std::vector<Tensor> EvaluateNode(const Node& node, int64_t opset,
                                           const std::vector<Tensor>& inputs);

}  // namespace strop::model::reference
