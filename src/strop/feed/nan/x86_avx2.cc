#include <cstdint>

#include <immintrin.h>

#include "strop/feed/nan/declarations.h"

namespace strop::feed {

bool has_nan_f32_avx2(const float* values, int64_t count) noexcept {
  __m256 any = _mm256_setzero_ps();
  int64_t i = 0;
  // A comparison of two vectors is unordered where either is NaN.
  for (; i + 32 <= count; i += 32) {
    const __m256 first =
        _mm256_cmp_ps(_mm256_loadu_ps(values + i), _mm256_loadu_ps(values + i + 8), _CMP_UNORD_Q);
    const __m256 second =
        _mm256_cmp_ps(_mm256_loadu_ps(values + i + 16), _mm256_loadu_ps(values + i + 24), _CMP_UNORD_Q);
    any = _mm256_or_ps(any, _mm256_or_ps(first, second));
  }
  for (; i + 8 <= count; i += 8) {
    const __m256 x = _mm256_loadu_ps(values + i);
    any = _mm256_or_ps(any, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  }
  return _mm256_movemask_ps(any) != 0 || has_nan_f32_scalar(values + i, count - i);
}

bool has_nan_f64_avx2(const double* values, int64_t count) noexcept {
  __m256d any = _mm256_setzero_pd();
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    any = _mm256_or_pd(
        any, _mm256_cmp_pd(_mm256_loadu_pd(values + i), _mm256_loadu_pd(values + i + 4), _CMP_UNORD_Q));
  }
  return _mm256_movemask_pd(any) != 0 || has_nan_f64_scalar(values + i, count - i);
}

bool has_nan_f16_avx2(const uint16_t* values, int64_t count) noexcept {
  const __m256i magnitude = _mm256_set1_epi16(0x7fff), infinity = _mm256_set1_epi16(0x7c00);
  __m256i any = _mm256_setzero_si256();
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + i));
    any = _mm256_or_si256(any, _mm256_cmpgt_epi16(_mm256_and_si256(x, magnitude), infinity));
  }
  return _mm256_testz_si256(any, any) == 0 || has_nan_f16_scalar(values + i, count - i);
}

}  // namespace strop::feed
