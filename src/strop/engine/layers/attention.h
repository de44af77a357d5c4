#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/engine/layers/layer.h"
#include "strop/engine/layers/quantization.h"

namespace strop::engine {

class Search;

// A value of attention: [batch, places, heads · depth], float32 or bytes.
struct AttentionOperand {
  std::string value;
  std::optional<Quantization> bytes;
};

// Attention of several heads (Vaswani et al., "Attention is all you need", 2017, 3.2), as exporters write it:
// query, key and value each through Reshape and Transpose, MatMul, a scale (of query and key, or behind the
// product), a mask, Softmax, MatMul, Transpose and Reshape. What goes into a product may be dequantized from
// bytes, and the answer quantized.
struct STROP_API AttentionLayer {
  std::vector<size_t> nodes;  // of the graph, in order
  size_t softmax = 0;
  AttentionOperand query, key, value;
  std::optional<Quantization> shares;  // bytes that they pass through on their way to the product
  std::string mask;                    // added to the scaled scores; empty: none
  float scale = 1;
  int64_t heads = 0, depth = 0;  // depth: of a head's query and key
  int64_t value_depth = 0;
  int64_t keys = -1;                  // -1: dynamic
  std::string output;                 // [batch, places, heads · value_depth]
  std::optional<Quantization> bytes;  // of the output; nothing: float32
};

// Every such attention among the free nodes, which it takes.
STROP_API std::vector<AttentionLayer> FindAttention(Search& search);
Layer AsLayer(AttentionLayer layer);
std::unique_ptr<Step> MakeAttentionStep(const LayerBuild& build, const AttentionLayer& layer);

}  // namespace strop::engine
