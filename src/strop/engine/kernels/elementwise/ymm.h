#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace strop::engine {
namespace {

alignas(64) constexpr int32_t kFloatYmmLanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

// The vector type of vector_math.h in AVX2 and FMA.
struct FloatYmm {
  using Reg = __m256;
  using Int = __m256i;
  using Mask = __m256;
  static constexpr int64_t kWidth = 8;
  static constexpr bool kExactFma = true;  // of one rounding
  static Reg Set1(float x) noexcept { return _mm256_set1_ps(x); }
  static Reg Load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static void Store(float* p, Reg x) noexcept { _mm256_storeu_ps(p, x); }
  static Int Lanes(int64_t count) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kFloatYmmLanes + kWidth - count));
  }
  static Reg LoadPart(const float* p, int64_t count) noexcept { return _mm256_maskload_ps(p, Lanes(count)); }
  static void StorePart(float* p, int64_t count, Reg x) noexcept { _mm256_maskstore_ps(p, Lanes(count), x); }
  static Mask PartMask(int64_t count) noexcept { return _mm256_castsi256_ps(Lanes(count)); }

  static Reg Add(Reg a, Reg b) noexcept { return _mm256_add_ps(a, b); }
  static Reg Sub(Reg a, Reg b) noexcept { return _mm256_sub_ps(a, b); }
  static Reg Mul(Reg a, Reg b) noexcept { return _mm256_mul_ps(a, b); }
  static Reg Div(Reg a, Reg b) noexcept { return _mm256_div_ps(a, b); }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  static Reg Fnma(Reg a, Reg b, Reg c) noexcept { return _mm256_fnmadd_ps(a, b, c); }
  static Reg Max(Reg a, Reg b) noexcept { return _mm256_max_ps(a, b); }
  static Reg Min(Reg a, Reg b) noexcept { return _mm256_min_ps(a, b); }
  static Reg Sqrt(Reg x) noexcept { return _mm256_sqrt_ps(x); }
  static Reg Floor(Reg x) noexcept { return _mm256_round_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  static Reg Ceil(Reg x) noexcept { return _mm256_round_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
  static Reg Round(Reg x) noexcept {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Reg Sign() noexcept { return _mm256_set1_ps(-0.0f); }
  static Reg Neg(Reg x) noexcept { return _mm256_xor_ps(x, Sign()); }
  static Reg Abs(Reg x) noexcept { return _mm256_andnot_ps(Sign(), x); }
  static Reg CopySign(Reg x, Reg sign) noexcept {
    return _mm256_or_ps(_mm256_andnot_ps(Sign(), x), _mm256_and_ps(Sign(), sign));
  }
  static Reg Scale(Reg x, Reg n) noexcept {
    const Int whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1), bias = SetInt(127);
    const Int rest = SubInt(whole, half);
    return Mul(Mul(x, FromBits(ToExponent(AddInt(half, bias)))), FromBits(ToExponent(AddInt(rest, bias))));
  }

  static Mask Less(Reg a, Reg b) noexcept { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
  static Mask Equal(Reg a, Reg b) noexcept { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
  static Mask Nan(Reg x) noexcept { return _mm256_cmp_ps(x, x, _CMP_UNORD_Q); }
  static Reg Select(Mask m, Reg a, Reg b) noexcept { return _mm256_blendv_ps(b, a, m); }

  static Int Bits(Reg x) noexcept { return _mm256_castps_si256(x); }
  static Reg FromBits(Int x) noexcept { return _mm256_castsi256_ps(x); }
  static Int SetInt(int32_t x) noexcept { return _mm256_set1_epi32(x); }
  static Int AddInt(Int a, Int b) noexcept { return _mm256_add_epi32(a, b); }
  static Int SubInt(Int a, Int b) noexcept { return _mm256_sub_epi32(a, b); }
  static Int AndInt(Int a, Int b) noexcept { return _mm256_and_si256(a, b); }
  static Int ToExponent(Int x) noexcept { return _mm256_slli_epi32(x, 23); }
  static Int FromExponent(Int x) noexcept { return _mm256_srai_epi32(x, 23); }
  static Reg ToFloat(Int x) noexcept { return _mm256_cvtepi32_ps(x); }
  static Int RoundToInt(Reg x) noexcept { return _mm256_cvtps_epi32(x); }
  static Int ZeroWhere(Mask m, Int x) noexcept { return _mm256_andnot_si256(_mm256_castps_si256(m), x); }

  static Int LoadU8(const uint8_t* p) noexcept { return _mm256_cvtepu8_epi32(Eight(p, 8)); }
  static Int LoadS8(const uint8_t* p) noexcept { return _mm256_cvtepi8_epi32(Eight(p, 8)); }
  static Int LoadPartU8(const uint8_t* p, int64_t count) noexcept {
    return _mm256_cvtepu8_epi32(Eight(p, count));
  }
  static Int LoadPartS8(const uint8_t* p, int64_t count) noexcept {
    return _mm256_cvtepi8_epi32(Eight(p, count));
  }
  // The low byte of each lane.
  static void StoreBytes(uint8_t* p, Int x) noexcept { StorePartBytes(p, 8, x); }
  static void StorePartBytes(uint8_t* p, int64_t count, Int x) noexcept {
    const Int low = _mm256_and_si256(x, SetInt(255));
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    const int64_t eight = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
    std::memcpy(p, &eight, static_cast<uint64_t>(count));
  }

  // Whole vectors of bytes by a table; answers how many bytes they were. Up to sixteen shuffles of sixteen
  // entries, each of which answers 0 but for its own: of others the sum with 0x70 saturates into the sign.
  // Entries are less the first one, so that those like it at either end, as of a Relu or a Clip, need none.
  static int64_t LookUp(const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t n) noexcept {
    const __m256i first = _mm256_set1_epi8(static_cast<char>(table[0]));
    __m256i entries[16];
    int64_t begin = 0, end = 0;
    for (int64_t i = 0; i < 16; ++i) {
      const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 16 * i));
      entries[i] = _mm256_xor_si256(_mm256_broadcastsi128_si256(part), first);
      if (_mm256_testz_si256(entries[i], entries[i])) continue;
      if (end == 0) begin = i;
      end = i + 1;
    }
    const __m256i beyond = _mm256_set1_epi8(0x70), sixteen = _mm256_set1_epi8(16);
    const __m256i before = _mm256_set1_epi8(static_cast<char>(16 * begin));
    int64_t at = 0;
    for (; at + 32 <= n; at += 32) {
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + at));
      __m256i index = _mm256_sub_epi8(bytes, before), found = first;
      for (int64_t i = begin; i < end; ++i) {
        found = _mm256_xor_si256(found, _mm256_shuffle_epi8(entries[i], _mm256_adds_epu8(index, beyond)));
        index = _mm256_sub_epi8(index, sixteen);
      }
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + at), found);
    }
    return at;
  }

  static float SumLanes(Reg x) noexcept {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float MaxLanes(Reg x) noexcept {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

 private:
  static __m128i Eight(const uint8_t* p, int64_t count) noexcept {
    int64_t eight = 0;
    std::memcpy(&eight, p, static_cast<uint64_t>(count));
    return _mm_cvtsi64_si128(eight);
  }
};

}  // namespace
}  // namespace strop::engine
