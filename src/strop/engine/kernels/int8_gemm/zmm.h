#pragma once

#include <immintrin.h>

#include <cstdint>

namespace strop::engine {
namespace {

// What the two AVX-512 files share of their vectors of 16 lanes; each adds its Dot.
struct ZmmLanes {
  using Reg = __m512i;
  static constexpr int64_t kWidth = 16;
  static Reg Zero() noexcept { return _mm512_setzero_si512(); }
  static Reg Set1(uint32_t x) noexcept { return _mm512_set1_epi32(static_cast<int32_t>(x)); }
  static Reg Load(const int8_t* p) noexcept { return _mm512_load_si512(p); }
  static Reg LoadSums(const int32_t* p) noexcept { return _mm512_load_si512(p); }
  static void StoreSums(int32_t* p, Reg x) noexcept { _mm512_storeu_si512(p, x); }
  static Reg Xor(Reg a, Reg b) noexcept { return _mm512_xor_si512(a, b); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm512_add_epi32(a, b); }
  using Float = __m512;
  static Float SetFloat(float x) noexcept { return _mm512_set1_ps(x); }
  static Float LoadFloats(const float* p) noexcept { return _mm512_load_ps(p); }
  static void StoreFloats(float* p, Float x) noexcept { _mm512_storeu_ps(p, x); }
  static Float ToFloat(Reg x) noexcept { return _mm512_cvtepi32_ps(x); }
  static Float Mul(Float a, Float b) noexcept { return _mm512_mul_ps(a, b); }
  static Float AddFloats(Float a, Float b) noexcept { return _mm512_add_ps(a, b); }
  static Float Max(Float a, Float b) noexcept { return _mm512_max_ps(a, b); }
  static Float Min(Float a, Float b) noexcept { return _mm512_min_ps(a, b); }
  static Reg Round(Float x) noexcept { return _mm512_cvtps_epi32(x); }
  static void StorePart(int32_t* p, int64_t n, Reg x) noexcept {
    _mm512_mask_storeu_epi32(p, static_cast<__mmask16>((1u << n) - 1), x);
  }
  static void StorePart(float* p, int64_t n, Float x) noexcept {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), x);
  }

  static Reg SetZero(int32_t zero) noexcept { return _mm512_set1_epi16(static_cast<int16_t>(zero)); }
  // Three packs and a permutation for four vectors, where vpmovdb takes two operations for each.
  template <int NV, bool kSigned>
  static void StoreBytes(uint8_t* p, int64_t stride, int64_t rows, int64_t n, const Reg (&x)[4],
                         Reg zero) noexcept {
    const Reg front = _mm512_adds_epi16(_mm512_packs_epi32(x[0], x[1]), zero);
    const Reg back = _mm512_adds_epi16(_mm512_packs_epi32(x[2], x[3]), zero);
    const Reg packed = kSigned ? _mm512_packs_epi16(front, back) : _mm512_packus_epi16(front, back);
    // Quarter q of vector v lies at q * 4 + v.
    const Reg bytes = _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), packed);
    const uint64_t mask = n < 64 ? (uint64_t{1} << n) - 1 : ~uint64_t{0};
    if constexpr (NV >= 3) {
      _mm512_mask_storeu_epi8(p, mask, bytes);
    } else if constexpr (NV == 2) {
      _mm256_mask_storeu_epi8(p, static_cast<__mmask32>(mask), _mm512_castsi512_si256(bytes));
      if (rows > 1)
        _mm256_mask_storeu_epi8(p + stride, static_cast<__mmask32>(mask),
                                _mm512_extracti64x4_epi64(bytes, 1));
    } else {
      const auto part = static_cast<__mmask16>(mask);
      _mm_mask_storeu_epi8(p, part, _mm512_castsi512_si128(bytes));
      if (rows > 1) _mm_mask_storeu_epi8(p + stride, part, _mm512_extracti32x4_epi32(bytes, 1));
      if (rows > 2) _mm_mask_storeu_epi8(p + 2 * stride, part, _mm512_extracti32x4_epi32(bytes, 2));
      if (rows > 3) _mm_mask_storeu_epi8(p + 3 * stride, part, _mm512_extracti32x4_epi32(bytes, 3));
    }
  }
};

}  // namespace
}  // namespace strop::engine
