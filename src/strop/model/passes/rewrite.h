#pragma once

#include <map>
#include <string>

#include "strop/model/graph.h"

namespace strop::model {

// Every use of `from` becomes a use of `to`: inputs of nodes, not the graph's outputs. Subgraphs are not
// rewritten, so ask UsedBySubgraph first.
void ReplaceUses(Graph& graph, const std::string& from, const std::string& to);

bool IsOutput(const Graph& graph, const std::string& value);
bool UsedBySubgraph(const Graph& graph, const std::string& value);
// How many node inputs (subgraphs included) and graph outputs read each value.
std::map<std::string, int> CountUses(const Graph& graph);

}  // namespace strop::model
