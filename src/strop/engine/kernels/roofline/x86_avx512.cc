#include <cstdint>

#include <immintrin.h>

#include "strop/engine/kernels/roofline/peak.h"
#include "strop/engine/kernels/roofline/zmm_bytes.h"

namespace strop::engine {
namespace {

struct Zmm {
  using Reg = __m512;
  static Reg Set1(float x) noexcept { return _mm512_set1_ps(x); }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  static float Sum(Reg x) noexcept {
    alignas(64) float lanes[16];
    _mm512_store_ps(lanes, x);
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    return sum;
  }
  static void Opaque(Reg& x) noexcept { __asm__ volatile("" : "+v"(x)); }
};

struct ZmmBytes : ZmmByteLanes {
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept {
    const Reg pairs = _mm512_maddubs_epi16(a, b);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
};

}  // namespace

float peak_f32_avx512(int64_t steps) noexcept { return Peak<Zmm>(steps); }
float peak_int8_avx512(int64_t steps) noexcept { return PeakInt8<ZmmBytes>(steps); }

}  // namespace strop::engine
