#include "strop/base/cpu.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop {
namespace {

constexpr std::string_view kIsaNames[] = {"scalar", "avx2", "avx512", "avx512vnni", "amx"};

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers Cpuid(unsigned leaf, unsigned subleaf = 0) noexcept {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

// Which register files the kernel saves on a context switch (Intel SDM, XCR0).
uint64_t EnabledState() noexcept {
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

// Linux hands out the 8 KiB of tile registers only to a process that asks (kernel documentation, x86/xstate).
bool AllowTiles() noexcept {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

CpuFlags Detect() noexcept {
  const auto has = [](unsigned value, unsigned mask) { return (value & mask) == mask; };
  const Registers basic = Cpuid(1);
  CpuFlags flags;
  if (!has(basic.ecx, bit_OSXSAVE | bit_AVX)) return flags;
  const uint64_t state = EnabledState();
  constexpr uint64_t kYmm = 0x6, kZmm = 0xe6;  // SSE, AVX; and opmask, upper ZMM, ZMM16 to 31
  const Registers extended = Cpuid(7);
  const Registers extended1 = extended.eax >= 1 ? Cpuid(7, 1) : Registers{};
  flags.avx2 = (state & kYmm) == kYmm && has(extended.ebx, bit_AVX2) && has(basic.ecx, bit_FMA | bit_F16C);
  flags.avx512 = flags.avx2 && (state & kZmm) == kZmm &&
                 has(extended.ebx, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL);
  flags.avx512_vnni = flags.avx512 && has(extended.ecx, 1u << 11);
  flags.avx_vnni = flags.avx2 && has(extended1.eax, 1u << 4);
  constexpr uint64_t kTiles = 0x60000;  // XTILECFG, XTILEDATA
  flags.amx_int8 = flags.avx512_vnni && has(extended.ecx, 1u << 1) && (state & kTiles) == kTiles &&
                   has(extended.edx, 1u << 24 | 1u << 25) && AllowTiles();
  return flags;
}

CpuFlags DetectLimited() {
  const CpuFlags flags = Detect();
  const char* forced = std::getenv("STROP_ISA");
  if (forced == nullptr || *forced == '\0') return flags;
  const Isa isa = ParseIsa(forced);
  if (isa > HighestIsa(flags)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("STROP_ISA={}: this CPU has {} at most; name that or a lower one", forced,
                            IsaName(HighestIsa(flags))));
  }
  return Limit(flags, isa);
}

}  // namespace

std::string_view IsaName(Isa isa) noexcept { return kIsaNames[static_cast<size_t>(isa)]; }

Isa ParseIsa(std::string_view name) {
  for (size_t i = 0; i < std::size(kIsaNames); ++i) {
    if (kIsaNames[i] == name) return static_cast<Isa>(i);
  }
  throw Error(
      Code::kInvalidArgument,
      fmt::format(
          "unknown instruction set \"{}\" (STROP_ISA): expected scalar, avx2, avx512, avx512vnni or amx",
          name));
}

Isa HighestIsa(const CpuFlags& flags) noexcept {
  if (flags.avx512_vnni && flags.amx_int8) return Isa::kAmx;
  if (flags.avx512 && flags.avx512_vnni) return Isa::kAvx512Vnni;
  if (flags.avx512) return Isa::kAvx512;
  return flags.avx2 ? Isa::kAvx2 : Isa::kScalar;
}

CpuFlags Limit(CpuFlags flags, Isa isa) noexcept {
  flags.avx2 = flags.avx2 && isa >= Isa::kAvx2;
  // The VEX form of VNNI stands between avx2 and avx512: naming avx2 means plain AVX2.
  flags.avx_vnni = flags.avx_vnni && isa >= Isa::kAvx512Vnni;
  flags.avx512 = flags.avx512 && isa >= Isa::kAvx512;
  flags.avx512_vnni = flags.avx512_vnni && isa >= Isa::kAvx512Vnni;
  flags.amx_int8 = flags.amx_int8 && isa >= Isa::kAmx;
  return flags;
}

const CpuFlags& Cpu() {
  static const CpuFlags flags = DetectLimited();
  return flags;
}

std::string CpuModel() {
  std::array<char, 49> brand{};
  if (Cpuid(0x80000000u).eax < 0x80000004u) return "unknown";
  for (unsigned i = 0; i < 3; ++i) {
    const Registers r = Cpuid(0x80000002u + i);
    std::memcpy(brand.data() + size_t{i} * 16, &r, 16);
  }
  std::string text(brand.data());
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "unknown";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

}  // namespace strop
