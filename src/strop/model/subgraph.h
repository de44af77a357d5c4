#pragma once

#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/model/graph.h"

namespace strop::model {

// Values of the enclosing graph that the subgraph uses. Throws kCorrupt when the bytes are not a graph.
std::vector<std::string> OuterValues(const SubgraphBytes& subgraph);

STROP_API bool HasSubgraph(const Node& node);

// What the node uses: its inputs that are there, then what its subgraphs take from outside.
STROP_API std::vector<std::string> UsedValues(const Node& node);

// The subgraph as a graph of its own: without opsets, and with the names but not the types of its inputs and
// outputs. Throws kCorrupt as above, and kUnsupported for what no tensor can hold.
STROP_API Graph ReadSubgraph(const SubgraphBytes& subgraph);

// A Loop that is known to go round not even once, by the graph's constants.
STROP_API bool NeverLoops(const Graph& graph, const Node& node);

}  // namespace strop::model
