#pragma once

#include <functional>

#include "strop/base/tensor.h"
#include "strop/model/graph.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {

// Operators that run a graph of their own, which sees the values around the node too.
bool IsControl(const Node& node, int64_t opset);
// The graphs that the node may run.
std::vector<Graph> Bodies(const Node& node);

// Answers the outputs of the body with these values in scope.
using RunBody = std::function<Results(const Graph& body, const TensorMap& scope)>;
Results EvaluateControl(const Call& call, const TensorMap& scope, const RunBody& run);

}  // namespace strop::model::reference
