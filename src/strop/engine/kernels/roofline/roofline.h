#pragma once

#include "strop/base/api.h"
#include "strop/base/cpu.h"

namespace strop::engine {

// The two ceilings of Williams, Waterman and Patterson, "Roofline" (2009), as this machine reaches them now.
// Each call measures for about 50 ms on `threads` threads and answers the best of several runs.

// float32 operations a second of independent multiply-adds in registers (a multiply-add is two). Throws
// kInvalidArgument when this CPU lacks `isa`.
STROP_API double MeasurePeakFlops(Isa isa, int threads = 1);
// Bytes a second read from a buffer several times larger than L3.
STROP_API double MeasureReadBandwidth(int threads = 1);

}  // namespace strop::engine
