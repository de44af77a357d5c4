#pragma once

#include <immintrin.h>

#include <cstdint>

namespace strop::engine {
namespace {

// The vector type of vector_math.h in AVX-512 F, BW, DQ and VL.
struct FloatZmm {
  using Reg = __m512;
  using Int = __m512i;
  using Mask = __mmask16;
  static constexpr int64_t kWidth = 16;
  static constexpr bool kExactFma = true;  // of one rounding
  static Reg Set1(float x) noexcept { return _mm512_set1_ps(x); }
  static Reg Load(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static void Store(float* p, Reg x) noexcept { _mm512_storeu_ps(p, x); }
  static Reg LoadPart(const float* p, int64_t count) noexcept {
    return _mm512_maskz_loadu_ps(PartMask(count), p);
  }
  static void StorePart(float* p, int64_t count, Reg x) noexcept {
    _mm512_mask_storeu_ps(p, PartMask(count), x);
  }
  static Mask PartMask(int64_t count) noexcept { return static_cast<Mask>((1u << count) - 1); }

  static Reg Add(Reg a, Reg b) noexcept { return _mm512_add_ps(a, b); }
  static Reg Sub(Reg a, Reg b) noexcept { return _mm512_sub_ps(a, b); }
  static Reg Mul(Reg a, Reg b) noexcept { return _mm512_mul_ps(a, b); }
  static Reg Div(Reg a, Reg b) noexcept { return _mm512_div_ps(a, b); }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  static Reg Fnma(Reg a, Reg b, Reg c) noexcept { return _mm512_fnmadd_ps(a, b, c); }
  static Reg Max(Reg a, Reg b) noexcept { return _mm512_max_ps(a, b); }
  static Reg Min(Reg a, Reg b) noexcept { return _mm512_min_ps(a, b); }
  static Reg Sqrt(Reg x) noexcept { return _mm512_sqrt_ps(x); }
  static Reg Floor(Reg x) noexcept {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  }
  static Reg Ceil(Reg x) noexcept {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
  }
  static Reg Round(Reg x) noexcept {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Reg Sign() noexcept { return _mm512_set1_ps(-0.0f); }
  static Reg Neg(Reg x) noexcept { return _mm512_xor_ps(x, Sign()); }
  static Reg Abs(Reg x) noexcept { return _mm512_andnot_ps(Sign(), x); }
  static Reg CopySign(Reg x, Reg sign) noexcept {
    // The truth table of bit c ? a : b, of the bits a = sign, b = x, c = the sign's place.
    return FromBits(_mm512_ternarylogic_epi32(Bits(sign), Bits(x), Bits(Sign()), 0xe4));
  }
  static Reg Scale(Reg x, Reg n) noexcept { return _mm512_scalef_ps(x, n); }

  static Mask Less(Reg a, Reg b) noexcept { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  static Mask Equal(Reg a, Reg b) noexcept { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
  static Mask Nan(Reg x) noexcept { return _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q); }
  static Reg Select(Mask m, Reg a, Reg b) noexcept { return _mm512_mask_blend_ps(m, b, a); }

  static Int Bits(Reg x) noexcept { return _mm512_castps_si512(x); }
  static Reg FromBits(Int x) noexcept { return _mm512_castsi512_ps(x); }
  static Int SetInt(int32_t x) noexcept { return _mm512_set1_epi32(x); }
  static Int AddInt(Int a, Int b) noexcept { return _mm512_add_epi32(a, b); }
  static Int SubInt(Int a, Int b) noexcept { return _mm512_sub_epi32(a, b); }
  static Int AndInt(Int a, Int b) noexcept { return _mm512_and_si512(a, b); }
  static Int ToExponent(Int x) noexcept { return _mm512_slli_epi32(x, 23); }
  static Int FromExponent(Int x) noexcept { return _mm512_srai_epi32(x, 23); }
  static Reg ToFloat(Int x) noexcept { return _mm512_cvtepi32_ps(x); }
  static Int RoundToInt(Reg x) noexcept { return _mm512_cvtps_epi32(x); }
  static Int ZeroWhere(Mask m, Int x) noexcept { return _mm512_maskz_mov_epi32(static_cast<Mask>(~m), x); }

  static Int LoadU8(const uint8_t* p) noexcept { return _mm512_cvtepu8_epi32(Sixteen(p)); }
  static Int LoadS8(const uint8_t* p) noexcept { return _mm512_cvtepi8_epi32(Sixteen(p)); }
  static Int LoadPartU8(const uint8_t* p, int64_t count) noexcept {
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(PartMask(count), p));
  }
  static Int LoadPartS8(const uint8_t* p, int64_t count) noexcept {
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(PartMask(count), p));
  }
  // The low byte of each lane.
  static void StoreBytes(uint8_t* p, Int x) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x));
  }
  static void StorePartBytes(uint8_t* p, int64_t count, Int x) noexcept {
    _mm512_mask_cvtepi32_storeu_epi8(p, PartMask(count), x);
  }

  // Whole vectors of bytes by a table; answers how many bytes they were. The table is 128 words, found by the
  // byte's upper seven bits; the lowest says which half of the word it is.
  static int64_t LookUp(const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t n) noexcept {
    __m512i words[4];
    for (int64_t i = 0; i < 4; ++i) words[i] = _mm512_loadu_si512(table + 64 * i);
    const __m512i one = _mm512_set1_epi16(1), half = _mm512_set1_epi16(64);
    int64_t at = 0;
    for (; at + 32 <= n; at += 32) {
      const __m512i bytes =
          _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + at)));
      const __m512i index = _mm512_srli_epi16(bytes, 1);
      const __m512i low = _mm512_permutex2var_epi16(words[0], index, words[1]);
      const __m512i high = _mm512_permutex2var_epi16(words[2], index, words[3]);
      const __m512i word = _mm512_mask_blend_epi16(_mm512_test_epi16_mask(index, half), low, high);
      const __m512i shift = _mm512_slli_epi16(_mm512_and_si512(bytes, one), 3);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + at),
                          _mm512_cvtepi16_epi8(_mm512_srlv_epi16(word, shift)));
    }
    return at;
  }

  static float SumLanes(Reg x) noexcept { return _mm512_reduce_add_ps(x); }
  static float MaxLanes(Reg x) noexcept { return _mm512_reduce_max_ps(x); }

 private:
  static __m128i Sixteen(const uint8_t* p) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
};

}  // namespace
}  // namespace strop::engine
