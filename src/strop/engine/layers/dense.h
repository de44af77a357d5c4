#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/engine/layers/chain.h"
#include "strop/engine/layers/layer.h"
#include "strop/engine/layers/quantization.h"

namespace strop::engine {

class Search;

// A dense layer that the own kernels run: Gemm, or MatMul with constant weights, with the Add of a bias and
// the Relu that follow it and nothing else reads; then a chain, which takes the product's answer as it is
// made.
struct STROP_API DenseLayer {
  std::vector<size_t> nodes;  // of the graph, in order
  size_t product = 0;         // the one that multiplies
  std::string input;          // [..., k]
  std::string weight;         // initializer, [k, n] or [n, k] when transposed
  std::string bias;           // initializer of n elements or one; empty: none
  std::string output;         // [..., n]
  bool transposed = false;
  float weight_scale = 1;  // Gemm's alpha
  float bias_scale = 1;    // Gemm's beta
  bool relu = false;
  int64_t n = 0, k = 0;
  std::optional<LayerIntegers> integers;  // nothing: float32
  std::optional<Chain> chain;             // its answer is the layer's
};

// Every dense layer among the free nodes, which it takes. Layers that touch QuantizeLinear or
// DequantizeLinear in another way than LayerIntegers and chains say are left to OpenVINO.
STROP_API std::vector<DenseLayer> FindDense(Search& search);
Layer AsLayer(DenseLayer layer);
// With the layer's weights packed for the kernels.
std::unique_ptr<Step> MakeDenseStep(const LayerBuild& build, const DenseLayer& layer);

}  // namespace strop::engine
