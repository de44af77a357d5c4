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

// A node that moves elements of any type, as they are but for kConvert; bytes, where they are dequantized
// before and quantized alike behind.
struct STROP_API MoveLayer {
  std::vector<size_t> nodes;  // of the graph, in order
  size_t node = 0;            // the one that moves
  MoveKind kind = MoveKind::kCopy;
  std::string input, output;
  DType dtype = DType::kF32;  // of the answer
  // The node by itself from input to output with its constants: it tells the answer's shape, and has the
  // table of kGather.
  model::Graph alone;
};

// Every such node among the free ones, which it takes. What is computed (a shape, axes, a table) stays with
// OpenVINO.
STROP_API std::vector<MoveLayer> FindMoveLayers(Search& search);
std::vector<Candidate> FindMoves(Search& search);
std::unique_ptr<Step> MakeMoveStep(const LayerBuild& build, const MoveLayer& layer);

}  // namespace strop::engine
