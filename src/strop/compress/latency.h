#pragma once

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/engine/session.h"

namespace strop::compress {

struct STROP_API Latency {
  double before = 0;  // median seconds of a run
  double after = 0;
  double speedup = 0;  // before / after
  int64_t runs = 0;    // of each
};

// Both sessions on the same inputs in turns, so that what else the machine does meets both alike; medians
// over about `seconds` of measuring, after warming up.
STROP_API Latency CompareLatency(engine::Session& before, engine::Session& after, const TensorMap& inputs,
                                 double seconds);

}  // namespace strop::compress
