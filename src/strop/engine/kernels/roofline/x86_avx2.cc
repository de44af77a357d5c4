#include <cstdint>

#include <immintrin.h>

#include "strop/engine/kernels/roofline/peak.h"

namespace strop::engine {
namespace {

struct Ymm {
  using Reg = __m256;
  static Reg Set1(float x) noexcept { return _mm256_set1_ps(x); }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  static float Sum(Reg x) noexcept {
    alignas(64) float lanes[8];
    _mm256_store_ps(lanes, x);
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    return sum;
  }
  static void Opaque(Reg& x) noexcept { __asm__ volatile("" : "+x"(x)); }
};

struct YmmBytes {
  using Reg = __m256i;
  static Reg Set1(int x) noexcept { return _mm256_set1_epi8(static_cast<char>(x)); }
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept {
    const Reg pairs = _mm256_maddubs_epi16(a, b);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static float Sum(Reg x) noexcept {
    alignas(32) int32_t lanes[8];
    _mm256_store_si256(reinterpret_cast<Reg*>(lanes), x);
    float sum = 0;
    for (const int32_t lane : lanes) sum += static_cast<float>(lane);
    return sum;
  }
  static void Opaque(Reg& x) noexcept { __asm__ volatile("" : "+x"(x)); }
};

}  // namespace

float peak_f32_avx2(int64_t steps) noexcept { return Peak<Ymm>(steps); }
float peak_int8_avx2(int64_t steps) noexcept { return PeakInt8<YmmBytes>(steps); }

}  // namespace strop::engine
