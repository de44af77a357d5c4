#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/compress/quantize.h"
#include "strop/engine/session.h"
#include "strop/model/graph.h"

namespace strop::compress {

// How the values of one activation are spread, in bins between its least and its greatest.
class STROP_API Histogram {
 public:
  static constexpr size_t kBins = 8192;

  // Throws kInvalidArgument when low or high is not finite or high < low.
  Histogram(float low, float high);
  void Add(const float* values, int64_t count);
  // `count` values in the middle of bin `index`.
  void AddToBin(size_t index, uint64_t count) { counts_[index] += count; }

  // The range within [low, high], holding zero, that gives the least mean squared error in 256 steps: what
  // lies outside is clipped, what lies inside is rounded. Zeros cost nothing, being exact.
  Range BestRange() const;

 private:
  using Points =
      std::vector<std::pair<double, double>>;  // the middle of a bin that is not empty, and its count
  static double ErrorOf(const Points& points, float low, float high);

  float low_, high_, bin_;
  std::vector<uint64_t> counts_;
};

// The mean of a value over the rows, one for each index of `axis`.
STROP_API Tensor ChannelMeans(engine::Session& session, const TensorMap& rows, const std::string& value,
                              int64_t axis);

// The ranges of the named values over the rows, from a session on `graph` with taps; two passes (extremes,
// then histograms). Throws kInvalidArgument naming a value that is not finite for some row. `threads` 0:
// every usable CPU.
STROP_API std::map<std::string, Range> Calibrate(
    const model::Graph& graph, const std::vector<std::string>& values, const TensorMap& rows, int threads,
    const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace strop::compress
