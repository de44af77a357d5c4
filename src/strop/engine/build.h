#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "strop/engine/plan.h"
#include "strop/engine/pool.h"
#include "strop/engine/session.h"
#include "strop/engine/step.h"
#include "strop/model/graph.h"

namespace strop::engine {

struct BuildRequest {
  const model::Graph& graph;                              // constants already made initializers
  const std::map<std::string, model::ValueInfo>& values;  // InferShapes of it
  std::set<std::string> kept;                             // outputs and taps
  std::string candidate;            // "openvino", "strop", "reference"; empty: the default
  const SavedPlan* plan = nullptr;  // kernels of the layers; nullptr: the default ones
  OpenVinoModel::Options openvino;
  ThreadPool& pool;
};

// The steps of the candidate, in order; of the default, "strop" where that needs no OpenVINO, else
// "openvino". Nodes that OpenVINO cannot compile go to the reference evaluator. Throws kUnsupported naming
// operator and node when neither runs one.
std::vector<std::unique_ptr<Step>> BuildSteps(const BuildRequest& request);

// Makes the constants that a layer reads its own: Constant nodes turned into initializers, and a
// DequantizeLinear for each reader. Takes out Identity, and nodes that nothing needs. The values of `kept`
// stay.
void PrepareGraph(model::Graph& graph, const std::set<std::string>& kept);

}  // namespace strop::engine
