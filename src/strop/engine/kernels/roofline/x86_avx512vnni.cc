#include "strop/engine/kernels/roofline/peak.h"
#include "strop/engine/kernels/roofline/zmm_bytes.h"

namespace strop::engine {
namespace {

struct ZmmBytes : ZmmByteLanes {
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept { return _mm512_dpbusd_epi32(sum, a, b); }
};

}  // namespace

float peak_int8_avx512vnni(int64_t steps) noexcept { return PeakInt8<ZmmBytes>(steps); }

}  // namespace strop::engine
