#pragma once

#include <span>
#include <string_view>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/engine/kernels/elementwise/args.h"

namespace strop::engine {

// What lies between the matrix products of a network, element by element: one table an instruction set, each
// entry of which is as args.h says. Every function is thread safe, holds no state and owns no memory.
//
// Bit-identical on every instruction set, but for which NaN: all but kExp, kLog, kErf, kTanh, kSigmoid and
// kGelu. Those are off by less than this many units in the last place (measured over a million floats of
// every exponent; the approximations and their sources are in vector_math.h), and right at zeros, infinities
// and NaN:
//   kExp 1, kLog 1, kErf 1.6, kTanh 1.5, kSigmoid 2.5
// kSigmoid answers 0 below -87.3, where the truth is below 1.2e-38. kGelu is off by less than 2e-7 · |x|, and
// 0 of -inf, its limit, where formulas of erf answer NaN.
struct STROP_API ElementwiseKernels : ElementwiseFunctions {
  std::string_view name;  // elementwise_avx2
  Isa isa;
};

// Every table compiled in, lowest instruction set first. Lives as long as the process.
STROP_API std::span<const ElementwiseKernels> AllElementwiseKernels() noexcept;
// The best table for a CPU with these flags. Pure.
STROP_API const ElementwiseKernels& PickElementwise(const CpuFlags& flags) noexcept;

}  // namespace strop::engine
