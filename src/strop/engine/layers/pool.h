#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/engine/layers/layer.h"
#include "strop/engine/layers/quantization.h"

namespace strop::engine {

class Search;

enum class PoolKind { kMax, kMean, kMeanOfAll };

// A pooling of images that the own kernels run: MaxPool, AveragePool or GlobalAveragePool. Of bytes it is the
// greatest byte, where they are dequantized before and quantized alike behind or nothing of that is there, or
// the mean of all.
struct STROP_API PoolLayer {
  std::vector<size_t> nodes;  // of the graph, in order
  size_t pool = 0;
  model::Node window;  // the pooling, whose attributes say how its kernel goes
  PoolKind kind = PoolKind::kMax;
  std::string input;  // [images, channels, height, width]
  std::string output;
  DType dtype = DType::kF32;                    // of the input
  std::optional<Quantization> input_integers;   // of kMeanOfAll of bytes
  std::optional<Quantization> output_integers;  // of kMeanOfAll into bytes
};

// Every such pooling among the free nodes, which it takes.
STROP_API std::vector<PoolLayer> FindPools(Search& search);
Layer AsLayer(PoolLayer layer);
std::unique_ptr<Step> MakePoolStep(const LayerBuild& build, const PoolLayer& layer);

}  // namespace strop::engine
