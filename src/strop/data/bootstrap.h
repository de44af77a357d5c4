#pragma once

#include <cstdint>

#include "strop/data/interval.h"
#include "strop/data/scores.h"

namespace strop::data {

// 95% percentile interval of candidate - baseline over rows drawn with replacement, the same rows for both
// (Efron and Tibshirani, An Introduction to the Bootstrap, 1993). The draws are keyed by (seed, resample).
Interval PairedBootstrap(const RowMetric& baseline, const RowMetric& candidate, int64_t rows, uint64_t seed);

}  // namespace strop::data
