#pragma once

#include <immintrin.h>

#include <cstdint>

namespace strop::engine {
namespace {

// What the AVX-512 files of bytes share of their vectors of 32-bit sums.
struct ZmmSums {
  using Reg = __m512i;
  using Float = __m512;
  static Reg LoadSums(const int32_t* p) noexcept { return _mm512_load_si512(p); }
  static void StoreSums(int32_t* p, Reg x) noexcept { _mm512_store_si512(p, x); }
  static Float LoadFloats(const float* p) noexcept { return _mm512_load_ps(p); }
  static void StoreFloats(float* p, Float x) noexcept { _mm512_store_ps(p, x); }
  static Float SetFloat(float x) noexcept { return _mm512_set1_ps(x); }
  static Float ToFloat(Reg x) noexcept { return _mm512_cvtepi32_ps(x); }
  static Float Mul(Float a, Float b) noexcept { return _mm512_mul_ps(a, b); }
  static Float AddFloats(Float a, Float b) noexcept { return _mm512_add_ps(a, b); }
  static Float Max(Float a, Float b) noexcept { return _mm512_max_ps(a, b); }
  static Float Min(Float a, Float b) noexcept { return _mm512_min_ps(a, b); }
  static Reg Round(Float x) noexcept { return _mm512_cvtps_epi32(x); }
  // 16 bits of two vectors' sums, in the order of the channels, with the zero, within the bounds.
  static Reg Words(Reg a, Reg b, int16_t zero, int16_t low, int16_t high) noexcept {
    const Reg words = _mm512_adds_epi16(_mm512_packs_epi32(a, b), _mm512_set1_epi16(zero));
    return _mm512_min_epi16(_mm512_max_epi16(words, _mm512_set1_epi16(low)), _mm512_set1_epi16(high));
  }
};

struct YmmSums {
  using Reg = __m256i;
  using Float = __m256;
  static Reg LoadSums(const int32_t* p) noexcept {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void StoreSums(int32_t* p, Reg x) noexcept { _mm256_store_si256(reinterpret_cast<__m256i*>(p), x); }
  static Float LoadFloats(const float* p) noexcept { return _mm256_load_ps(p); }
  static void StoreFloats(float* p, Float x) noexcept { _mm256_store_ps(p, x); }
  static Float SetFloat(float x) noexcept { return _mm256_set1_ps(x); }
  static Float ToFloat(Reg x) noexcept { return _mm256_cvtepi32_ps(x); }
  static Float Mul(Float a, Float b) noexcept { return _mm256_mul_ps(a, b); }
  static Float AddFloats(Float a, Float b) noexcept { return _mm256_add_ps(a, b); }
  static Float Max(Float a, Float b) noexcept { return _mm256_max_ps(a, b); }
  static Float Min(Float a, Float b) noexcept { return _mm256_min_ps(a, b); }
  static Reg Round(Float x) noexcept { return _mm256_cvtps_epi32(x); }
  static Reg Words(Reg a, Reg b, int16_t zero, int16_t low, int16_t high) noexcept {
    const Reg words = _mm256_adds_epi16(_mm256_packs_epi32(a, b), _mm256_set1_epi16(zero));
    return _mm256_min_epi16(_mm256_max_epi16(words, _mm256_set1_epi16(low)), _mm256_set1_epi16(high));
  }
};

struct XmmSums {
  using Reg = __m128i;
  using Float = __m128;
  static Reg LoadSums(const int32_t* p) noexcept {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(p));
  }
  static void StoreSums(int32_t* p, Reg x) noexcept { _mm_store_si128(reinterpret_cast<__m128i*>(p), x); }
  static Float LoadFloats(const float* p) noexcept { return _mm_load_ps(p); }
  static void StoreFloats(float* p, Float x) noexcept { _mm_store_ps(p, x); }
  static Float SetFloat(float x) noexcept { return _mm_set1_ps(x); }
  static Float ToFloat(Reg x) noexcept { return _mm_cvtepi32_ps(x); }
  static Float Mul(Float a, Float b) noexcept { return _mm_mul_ps(a, b); }
  static Float AddFloats(Float a, Float b) noexcept { return _mm_add_ps(a, b); }
  static Float Max(Float a, Float b) noexcept { return _mm_max_ps(a, b); }
  static Float Min(Float a, Float b) noexcept { return _mm_min_ps(a, b); }
  static Reg Round(Float x) noexcept { return _mm_cvtps_epi32(x); }
  static Reg Words(Reg a, Reg b, int16_t zero, int16_t low, int16_t high) noexcept {
    const Reg words = _mm_adds_epi16(_mm_packs_epi32(a, b), _mm_set1_epi16(zero));
    return _mm_min_epi16(_mm_max_epi16(words, _mm_set1_epi16(low)), _mm_set1_epi16(high));
  }
};

}  // namespace
}  // namespace strop::engine
