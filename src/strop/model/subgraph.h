#pragma once

#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/model/graph.h"

namespace strop::model {

// Values of the enclosing graph that the subgraph uses. Throws kCorrupt when the bytes are not a graph.
std::vector<std::string> OuterValues(const SubgraphBytes& subgraph);

// What the node uses: its inputs that are there, then what its subgraphs take from outside.
std::vector<std::string> UsedValues(const Node& node);

// A Loop that is known to go round not even once, by the graph's constants.
STROP_API bool NeverLoops(const Graph& graph, const Node& node);

}  // namespace strop::model
