#include "strop/data/bootstrap.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"

namespace strop::data {
namespace {

constexpr int kResamples = 2000;
constexpr uint64_t kStream = 0x626f6f74;  // the letters of "boot"

}  // namespace

Interval PairedBootstrap(const RowMetric& baseline, const RowMetric& candidate, int64_t rows, uint64_t seed) {
  std::vector<double> gains;
  std::vector<uint32_t> counts(static_cast<size_t>(rows));
  for (uint64_t resample = 0; resample < kResamples; ++resample) {
    Rng rng(seed, MixSeed(kStream, resample));
    std::fill(counts.begin(), counts.end(), 0);
    for (int64_t i = 0; i < rows; ++i) ++counts[rng.Below(static_cast<uint64_t>(rows))];
    const double gain = candidate.Value(counts) - baseline.Value(counts);
    if (std::isfinite(gain)) gains.push_back(gain);
  }
  if (gains.size() < kResamples / 2) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} rows are too few for an interval: most resamples of them lack a "
                            "class",
                            rows));
  }
  std::sort(gains.begin(), gains.end());
  const auto at = [&](double share) {
    return gains[static_cast<size_t>(std::lround(share * static_cast<double>(gains.size() - 1)))];
  };
  return {at(0.025), at(0.975)};
}

}  // namespace strop::data
