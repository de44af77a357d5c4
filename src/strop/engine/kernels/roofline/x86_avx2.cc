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

}  // namespace

float peak_f32_avx2(int64_t steps) noexcept { return Peak<Ymm>(steps); }

}  // namespace strop::engine
