#pragma once

#include <memory>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/engine/layers/layer.h"
#include "strop/engine/layers/neighbours.h"
#include "strop/model/graph.h"

namespace strop::engine {

enum class MoveKind {
  kCopy,       // another shape: Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout
  kConvert,    // Cast of integers to float32
  kTranspose,  // Transpose
  kGather      // Gather of a constant's rows
};

// A node that moves elements of any type, as they are but for kConvert.
struct STROP_API MoveLayer {
  size_t node = 0;  // of the graph
  MoveKind kind = MoveKind::kCopy;
  std::string input, output;
  DType dtype = DType::kF32;  // of the answer
  // The node by itself with its constants, which tells the answer's shape, and is the table of kGather.
  model::Graph alone;
};

// Every such node among the free ones, which it takes. What is computed (a shape, axes, a table) stays with
// OpenVINO.
STROP_API std::vector<MoveLayer> FindMoveLayers(Search& search);
std::vector<Candidate> FindMoves(Search& search);
std::unique_ptr<Step> MakeMoveStep(const LayerBuild& build, const MoveLayer& layer);

}  // namespace strop::engine
