#pragma once

#include <set>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/engine/layers/layer.h"
#include "strop/model/graph.h"

namespace strop::engine {

enum class Runner { kOpenVino, kStrop, kReference };

// Nodes that run as one step, in the order of the steps.
struct STROP_API Region {
  Runner runner = Runner::kOpenVino;
  std::vector<size_t> nodes;         // in order
  std::vector<std::string> inputs;   // values made before it; not the initializers
  std::vector<std::string> outputs;  // values that later regions read, or that are kept
  const Layer* layer = nullptr;      // of kStrop
};

// Cuts the graph into steps: each layer and each node of `reference` is a step of its own, and what lies
// between them goes to OpenVINO in regions as large as order allows. Every node is in exactly one region,
// which points to its layer. Pure.
STROP_API std::vector<Region> Partition(const model::Graph& graph, const std::vector<Layer>& layers,
                                        const std::set<size_t>& reference, const std::set<std::string>& kept);

}  // namespace strop::engine
