#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/engine/kernels/clamp.h"
#include "strop/engine/layers/chain.h"
#include "strop/engine/layers/layer.h"
#include "strop/engine/layers/quantization.h"

namespace strop::engine {

class Search;

// A convolution of images by constant weights that the own kernels run: of all channels, or of each by itself
// (depthwise), with the Relu or Clip that follows it and nothing else reads; then a chain.
struct STROP_API ConvLayer {
  std::vector<size_t> nodes;  // of the graph, in order
  size_t conv = 0;
  model::Node window;  // the Conv, whose attributes say how its kernel goes
  std::string input;   // [images, channels, height, width]
  std::string weight;  // initializer, [n, channels or 1, kernel height, kernel width]
  std::string bias;    // initializer of n elements; empty: none
  std::string output;  // [images, n, height, width]
  bool depthwise = false;
  int64_t channels = 0, n = 0, kernel_h = 0, kernel_w = 0;
  int64_t height = -1, width = -1;  // of the input; -1: dynamic
  Clamp clamp;
  std::optional<LayerIntegers> integers;  // nothing: float32
  std::optional<Chain> chain;             // its answer is the layer's
};

// Every such convolution among the free nodes, which it takes.
STROP_API std::vector<ConvLayer> FindConv(Search& search);
// Whether Winograd's filtering can.
bool IsWinograd(const ConvLayer& layer);
Layer AsLayer(ConvLayer layer);
std::unique_ptr<Step> MakeConvStep(const LayerBuild& build, const ConvLayer& layer);

}  // namespace strop::engine
