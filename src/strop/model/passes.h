#pragma once

#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/model/graph.h"

namespace strop::model {

// Each pass keeps what the model computes (to float rounding) and the names of its inputs and outputs.

// Evaluates nodes whose inputs are all constants (Constant, Shape arithmetic, …).
STROP_API void FoldConstants(Graph& graph);
// Removes nodes and initializers that no output needs, Identity, and Dropout outside training.
STROP_API void RemoveDead(Graph& graph);
// Folds BatchNormalization into the Conv or Gemm before it.
STROP_API void FoldBatchNorm(Graph& graph);
// Uses what types and shapes tell. A Reshape whose target is computed gets a constant one where its answer's
// sizes are known numbers, those of the input at the same axes, and at most one other: exporters compute by
// Shape, Gather and Concat what they know of dynamic sizes. A Reshape to the shape that its input has, and a
// Cast to its type, become Identity. Sizes are taken to be positive. Throws what InferShapes does.
STROP_API void FoldShapes(Graph& graph);
// All of them, until nothing changes.
STROP_API void Simplify(Graph& graph);

// The part of the graph between `inputs` and `outputs`, as a model of its own. `values` gives the types of
// the new inputs and outputs (from InferShapes). Throws kInvalidArgument when the inputs do not cut the
// outputs off.
STROP_API Graph Extract(const Graph& graph, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs,
                        const std::map<std::string, ValueInfo>& values);

}  // namespace strop::model
