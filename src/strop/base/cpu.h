#pragma once

#include <string>
#include <string_view>

#include "strop/base/api.h"

namespace strop {

// What kernels may use. Plain data, so that dispatch is tested for CPUs that are not there.
struct STROP_API CpuFlags {
  bool avx2 = false;         // AVX2, FMA and F16C
  bool avx512 = false;       // F, BW, DQ, VL
  bool avx512_vnni = false;  // with avx512
  bool avx_vnni = false;     // the 256-bit VEX form
  bool amx_int8 = false;     // tiles of bytes, with avx512_vnni and VBMI; this process may use them

  bool operator==(const CpuFlags&) const = default;
};

// The instruction sets that STROP_ISA names, lowest first.
enum class Isa { kScalar, kAvx2, kAvx512, kAvx512Vnni, kAmx };

STROP_API std::string_view IsaName(Isa isa) noexcept;  // scalar, avx2, avx512, avx512vnni, amx
// Throws kInvalidArgument that lists the names.
STROP_API Isa ParseIsa(std::string_view name);
// The highest set that the flags allow.
STROP_API Isa HighestIsa(const CpuFlags& flags) noexcept;
// The flags with everything above `isa` cleared.
STROP_API CpuFlags Limit(CpuFlags flags, Isa isa) noexcept;

// CPUID and XGETBV of this machine, limited by STROP_ISA. Throws kInvalidArgument when STROP_ISA is not a
// name, or names a set that this CPU lacks. Read once; thread safe.
STROP_API const CpuFlags& Cpu();
// The processor's brand string, as in /proc/cpuinfo "model name".
STROP_API std::string CpuModel();

}  // namespace strop
