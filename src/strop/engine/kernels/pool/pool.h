#pragma once

#include <span>
#include <string_view>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/engine/kernels/pool/args.h"

namespace strop::engine {

// One registry line of kernels.inc.
struct STROP_API PoolKernel {
  std::string_view name;  // pool_avx2
  Isa isa;
  MaxPoolFn max;
  AveragePoolFn average;
  GlobalPoolFn global;
};

// Every kernel compiled in, lowest instruction set first. Lives as long as the process.
STROP_API std::span<const PoolKernel> PoolKernels() noexcept;
// The one for a CPU with these flags. Pure.
STROP_API const PoolKernel& PickPool(const CpuFlags& flags) noexcept;

}  // namespace strop::engine
