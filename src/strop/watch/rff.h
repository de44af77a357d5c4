#pragma once

#include <cstdint>

#include "strop/base/api.h"
#include "strop/base/tensor.h"

namespace strop::watch {

// Random features whose inner product is, in the mean, the Gaussian kernel exp(-|x - y|^2 / (2 bandwidth^2)):
// cosine and sine of D/2 random projections, scaled by sqrt(2 / D) (Rahimi and Recht, "Random features for
// large-scale kernel machines", NeurIPS 2007; the paired form has the lower variance, Sutherland and
// Schneider, UAI 2015). Projection j is keyed by (seed, j), so more features only add to fewer. Immutable;
// thread safe.
class STROP_API RandomFourierFeatures {
 public:
  // features: even. bandwidth > 0.
  RandomFourierFeatures(int64_t inputs, int64_t features, double bandwidth, uint64_t seed);

  int64_t inputs() const noexcept { return inputs_; }
  int64_t features() const noexcept { return features_; }
  // rows: count * inputs floats; out: count * features floats, row by row.
  void Map(const float* rows, int64_t count, float* out) const;

 private:
  int64_t inputs_;
  int64_t features_;
  Tensor projections_;  // [inputs, features / 2]
};

// The median distance between two of (up to 300, evenly spaced) rows; their mean distance where more than
// half of the pairs coincide; 0 when all do. rows: count * inputs floats.
STROP_API double MedianBandwidth(const float* rows, int64_t count, int64_t inputs);

}  // namespace strop::watch
