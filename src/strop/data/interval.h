#pragma once

#include <cstdint>

#include "strop/base/api.h"

namespace strop::data {

struct STROP_API Interval {
  double low = 0;
  double high = 0;
};

// 95% score interval of (gained - lost) / rows, where `gained` and `lost` count the rows that only the one or
// only the other of two models got right (Tango, "Equivalence test and confidence interval for the difference
// in proportions for the paired-sample design", Statistics in Medicine 17, 1998). Throws kInvalidArgument
// when counts are negative or exceed the rows.
STROP_API Interval TangoInterval(double gained, double lost, double rows);

// Rows needed before the interval around a gain of zero could lie above -max_drop, given the share of rows on
// which exactly one of the two models is right.
STROP_API int64_t RowsNeeded(double max_drop, double disagreement);

}  // namespace strop::data
