#pragma once

#include <set>
#include <string>

#include "strop/base/api.h"
#include "strop/model/graph.h"

namespace strop::engine {

// Brings QuantizeLinear into bytes, of one scale, nearer to the layer that makes its numbers, over nodes
// whose answers nothing else reads: a layer of integers ends in bytes then, and a quarter of the memory
// passes by. Answers stay. No subgraph may read the graph's values; `kept` are those that must come out.
//
// MaxPool: the same QuantizeLinear and its way back are put before it too, as the greatest byte stands for
// the greatest number (NaN, which MaxPool passes over, is a byte as others then).
// Reshape, Transpose and their like: QuantizeLinear goes before them, and they move bytes, where a product
// reads those; before other operators, as a reduction, OpenVINO answers moved bytes wrongly.
STROP_API void QuantizeBefore(model::Graph& graph, const std::set<std::string>& kept);

}  // namespace strop::engine
