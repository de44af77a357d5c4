#include <cstdint>

#include <immintrin.h>

#include "strop/feed/nan/declarations.h"

namespace strop::feed {

bool has_nan_f32_avx512(const float* values, int64_t count) noexcept {
  __mmask16 any = 0;
  int64_t i = 0;
  // A comparison of two vectors is unordered where either is NaN.
  for (; i + 32 <= count; i += 32) {
    any = static_cast<__mmask16>(any | _mm512_cmp_ps_mask(_mm512_loadu_ps(values + i),
                                                          _mm512_loadu_ps(values + i + 16), _CMP_UNORD_Q));
  }
  return any != 0 || has_nan_f32_scalar(values + i, count - i);
}

bool has_nan_f64_avx512(const double* values, int64_t count) noexcept {
  __mmask8 any = 0;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    any = static_cast<__mmask8>(
        any | _mm512_cmp_pd_mask(_mm512_loadu_pd(values + i), _mm512_loadu_pd(values + i + 8), _CMP_UNORD_Q));
  }
  return any != 0 || has_nan_f64_scalar(values + i, count - i);
}

bool has_nan_f16_avx512(const uint16_t* values, int64_t count) noexcept {
  const __m512i magnitude = _mm512_set1_epi16(0x7fff), infinity = _mm512_set1_epi16(0x7c00);
  __mmask32 any = 0;
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m512i x = _mm512_loadu_si512(values + i);
    any |= _mm512_cmpgt_epi16_mask(_mm512_and_si512(x, magnitude), infinity);
  }
  return any != 0 || has_nan_f16_scalar(values + i, count - i);
}

}  // namespace strop::feed
