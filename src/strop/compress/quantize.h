#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/compress/scheme.h"
#include "strop/compress/weights.h"
#include "strop/model/graph.h"

namespace strop::compress {

// What 8 bits of an activation have to hold.
struct STROP_API Range {
  float low = 0;
  float high = 0;
};

// real = scale * (stored - zero_point), stored in uint8.
struct STROP_API Quantization {
  float scale = 1;
  uint8_t zero_point = 0;

  // The finest that holds the range and zero, which it represents exactly (padding and Relu need it to).
  static Quantization From(const Range& range);
};

// Raises ai.onnx to 13, the first with QuantizeLinear by channel. Throws kUnsupported naming an operator
// whose meaning changed on the way.
STROP_API void RaiseOpset(model::Graph& graph);

struct STROP_API QuantizeOptions {
  // Largest magnitude of a quantised weight. x86 without VNNI multiplies uint8 by int8 with vpmaddubsw, which
  // adds two products in a saturating int16: 255 * 64 * 2 = 32640 is the most that fits. So weights within 64
  // compute the same on every CPU; 127 is one bit finer and overflows silently on AVX2 and on AVX-512 without
  // VNNI.
  int weight_limit = 64;
  void Validate() const;
};

// Turns layers of a simplified graph (model::Simplify, RaiseOpset) into integer ones, written as standard
// QDQ: QuantizeLinear and DequantizeLinear around values, int8 weights by output channel, int32 biases of
// scale s_activation * s_weight. Values run through MaxPool, Flatten, Reshape and Transpose in one scale, so
// that a runtime has no float hop between integer layers; a uint8 input that is only scaled is taken as it is
// (ExactInput). Scheme: Jacob et al., "Quantization and Training of Neural Networks for Efficient
// Integer-Arithmetic-Only Inference", CVPR 2018. Not thread safe.
class STROP_API Quantizer {
 public:
  Quantizer(model::Graph graph, const QuantizeOptions& options = {});

  // The values whose ranges SetRanges needs, for all layers together.
  std::vector<std::string> ActivationsToCalibrate() const;
  void SetRanges(std::map<std::string, Range> ranges) { ranges_ = std::move(ranges); }
  // What is added to a layer's bias, a float an output channel: the mean that rounding its weights takes away
  // (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019). For
  // Conv and Gemm.
  void SetBiasCorrection(const std::string& layer, Tensor correction) {
    corrections_[layer] = std::move(correction);
  }

  const std::vector<Layer>& layers() const noexcept { return layers_; }
  // The graph with the named layers quantised and the others as they were. Names of inputs, outputs, metadata
  // and float values stay. Throws kInvalidArgument for a name that is not a layer or a range that is missing.
  model::Graph Build(const std::set<std::string>& names) const;

 private:
  const Weights& WeightsOf(const model::Node& node) const;

  model::Graph graph_;
  QuantizeOptions options_;
  std::vector<Layer> layers_;
  std::map<std::string, model::ValueInfo> types_;
  std::map<std::string, Range> ranges_;
  std::map<std::string, Tensor> corrections_;
  mutable std::map<std::string, Weights> weights_;  // by node name; their scales are searched for once
};

}  // namespace strop::compress
