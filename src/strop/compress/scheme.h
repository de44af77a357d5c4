#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/compress/affine.h"
#include "strop/model/graph.h"

namespace strop::compress {

// A layer that can be quantised: Conv, Gemm or MatMul with constant float weights.
struct STROP_API Layer {
  std::string name;  // of the node
  std::string op;
  std::string activation;  // the value it reads
  std::string weight;      // the initializer
};

// In the graph's order.
STROP_API std::vector<Layer> WeightedLayers(const model::Graph& graph);

// Values that share one scale: they differ only by MaxPool, Flatten, Reshape, Transpose and the like.
struct STROP_API ScaleGroup {
  std::vector<std::string> values;
  std::vector<std::string>
      calibrated;  // those whose range decides: what is computed with, not what is pooled away
  std::optional<ExactInput> exact;  // then nothing is calibrated
};

// Which values become integers when some layers do.
struct STROP_API Scheme {
  std::vector<ScaleGroup> groups;
  std::map<std::string, size_t> group_of;  // value -> index in groups
  std::set<std::string> layers;
};

// The activation of every named layer, what a Conv puts out (a runtime runs it in integers only if that is
// quantised), and upwards through what keeps a scale (MaxPool, Flatten, …) or has an integer form between
// integers (Add, AveragePool, GlobalAveragePool). Outputs of the graph stay float. `types` is InferShapes of
// the graph.
STROP_API Scheme MakeScheme(const model::Graph& graph, const std::map<std::string, model::ValueInfo>& types,
                            const std::vector<Layer>& layers, const std::set<std::string>& names);

}  // namespace strop::compress
