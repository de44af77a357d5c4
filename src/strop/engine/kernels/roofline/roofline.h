#pragma once

#include <cstdint>
#include <span>

#include "strop/base/api.h"
#include "strop/base/cpu.h"

namespace strop::engine {

// The two ceilings of Williams, Waterman and Patterson, "Roofline" (2009), as this machine reaches them now.
// Each call measures for about 50 ms on `threads` threads and answers the best of several runs. Operations
// are those of independent multiply-adds in registers, of which each is two. The peaks throw kInvalidArgument
// when this CPU lacks `isa`.

// float32 operations a second.
STROP_API double MeasurePeakFlops(Isa isa, int threads = 1);
// Operations a second of bytes summed in 32 bits, by the instructions of the integer GEMM: vpmaddubsw,
// vpmaddwd and vpaddd (AVX2, AVX-512), vpdpbusd (VNNI), tdpbusd (AMX).
STROP_API double MeasurePeakInt8(Isa isa, int threads = 1);
// The loops that measure it, lowest instruction set first, for tests. run(steps) makes `products` products of
// kPeakA and kPeakB a step and answers their sum as far as float32 holds it.
struct PeakKernel {
  Isa isa;
  float (*run)(int64_t steps) noexcept;
  int64_t products;  // a step
  int64_t steps;     // of a measurement
};
STROP_API std::span<const PeakKernel> Int8PeakKernels() noexcept;
// Bytes a second read from a buffer several times larger than L3.
STROP_API double MeasureReadBandwidth(int threads = 1);

}  // namespace strop::engine
