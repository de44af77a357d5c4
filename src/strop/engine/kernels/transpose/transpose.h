#pragma once

#include <span>
#include <string_view>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/engine/kernels/transpose/args.h"

namespace strop::engine {

// One registry line of kernels.inc.
struct STROP_API TransposeKernel {
  std::string_view name;  // transpose_avx2
  Isa isa;
  TransposeFn run;
};

// Every kernel compiled in, lowest instruction set first. Lives as long as the process.
STROP_API std::span<const TransposeKernel> TransposeKernels() noexcept;
// The one for a CPU with these flags. Pure.
STROP_API const TransposeKernel& PickTranspose(const CpuFlags& flags) noexcept;

}  // namespace strop::engine
