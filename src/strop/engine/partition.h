#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/model/graph.h"

namespace strop::engine {

// A dense layer that the own kernels run: Gemm, or MatMul with constant weights, with the Add of a bias and
// the Relu that follow it and nothing else reads.
struct STROP_API DenseLayer {
  std::vector<size_t> nodes;  // of the graph, in order
  std::string input;          // [..., k]
  std::string weight;         // initializer, [k, n] or [n, k] when transposed
  std::string bias;           // initializer of n elements or one; empty: none
  std::string output;         // [..., n]
  bool transposed = false;
  float weight_scale = 1;  // Gemm's alpha
  float bias_scale = 1;    // Gemm's beta
  bool relu = false;
  int64_t n = 0, k = 0;
};

// Every dense layer of the graph. `kept` are values that must come out, so that no fusing hides them. Layers
// that touch QuantizeLinear or DequantizeLinear are left to OpenVINO, which runs them in integers, and so is
// all of a graph with control flow.
STROP_API std::vector<DenseLayer> FindDense(const model::Graph& graph,
                                            const std::map<std::string, model::ValueInfo>& values,
                                            const std::set<std::string>& kept);

enum class Runner { kOpenVino, kStrop, kReference };

// Nodes that run as one step, in the order of the steps.
struct STROP_API Region {
  Runner runner = Runner::kOpenVino;
  std::vector<size_t> nodes;         // in order
  std::vector<std::string> inputs;   // values made before it; not the initializers
  std::vector<std::string> outputs;  // values that later regions read, or that are kept
  std::optional<DenseLayer> dense;   // of kStrop
};

// Cuts the graph into steps: each dense layer and each node of `reference` is a step of its own, and what
// lies between them goes to OpenVINO in regions as large as order allows. Every node is in exactly one
// region. Pure.
STROP_API std::vector<Region> Partition(const model::Graph& graph, const std::vector<DenseLayer>& dense,
                                        const std::set<size_t>& reference, const std::set<std::string>& kept);

}  // namespace strop::engine
