#pragma once

#include <span>
#include <string_view>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/engine/kernels/patches/args.h"

namespace strop::engine {

// One registry line of kernels.inc.
struct STROP_API PatchesKernel {
  std::string_view name;  // patches_avx2
  Isa isa;
  PatchesFn run;
};

// Every kernel compiled in, lowest instruction set first. Lives as long as the process.
STROP_API std::span<const PatchesKernel> PatchesKernels() noexcept;
// The one for a CPU with these flags. Pure.
STROP_API const PatchesKernel& PickPatches(const CpuFlags& flags) noexcept;

}  // namespace strop::engine
