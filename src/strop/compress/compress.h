#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/compress/quantize.h"
#include "strop/data/quality.h"
#include "strop/model/graph.h"

namespace strop::compress {

struct STROP_API CompressOptions {
  std::string metric = "accuracy";
  double max_drop = 0.01;  // absolute, in the metric's unit, met by the bad end of the 95% paired interval
  int threads = 0;         // of the sessions; 0: every usable CPU
  uint64_t seed = 0;       // of bootstrap intervals
  std::chrono::milliseconds budget = std::chrono::minutes(10);
  QuantizeOptions quantize;

  void Validate() const;
};

struct STROP_API LayerResult {
  std::string layer;
  std::string op;
  int bits = 32;
  // Noise over signal at the model's output when this layer alone is quantised: mean squared change over
  // variance, on the calibration rows, so that the evaluation rows have no say in which layer is given up
  // first.
  double sensitivity = 0;
};

// A model that was tried.
struct STROP_API Attempt {
  std::vector<std::string> float_layers;
  data::PairedResult quality;
};

struct STROP_API CompressResult {
  model::Graph model;
  std::string metric;
  data::PairedResult quality;  // of the model, on the evaluation rows
  std::vector<LayerResult> layers;
  std::vector<Attempt> attempts;  // in order; the last is the model
  int64_t calibration_rows = 0;
};

// Called on the calling thread; what it throws reaches the caller.
using CompressProgress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

// Quantises every layer that can be to INT8; while the evaluation does not meet max_drop, gives the most
// sensitive layer back to float. calibration and evaluation hold the model's inputs, [rows, …] each, and must
// not overlap. The f32 model's metadata stay; "strop.penultimate" is written when it was not there, so that
// the tap survives. Throws kInvalidArgument when the evaluation has too few rows, saying how many are needed;
// kFailedPrecondition when no choice of layers meets max_drop, saying what was reached; kTimeout when the
// budget ended before; kUnsupported when there is nothing to quantise.
STROP_API CompressResult Compress(const model::Graph& graph, const TensorMap& calibration,
                                  const TensorMap& evaluation, const Tensor& labels,
                                  const CompressOptions& options, const CompressProgress& progress = {});

}  // namespace strop::compress
