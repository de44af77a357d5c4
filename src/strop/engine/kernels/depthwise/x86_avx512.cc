#include <immintrin.h>

#include "strop/engine/kernels/depthwise/declarations.h"
#include "strop/engine/kernels/depthwise/float_tile.h"
#include "strop/engine/kernels/depthwise/int8_tile.h"
#include "strop/engine/kernels/depthwise/x86_lanes.h"

namespace strop::engine {
namespace {

struct Floats {
  using Reg = __m512;
  static constexpr int64_t kWidth = 16;
  static Reg Set1(float x) noexcept { return _mm512_set1_ps(x); }
  static Reg Load(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static __mmask16 Mask(int64_t count) noexcept { return static_cast<__mmask16>((1u << count) - 1); }
  static Reg LoadPart(const float* p, int64_t count) noexcept {
    return _mm512_maskz_loadu_ps(Mask(count), p);
  }
  static void Store(float* p, Reg x) noexcept { _mm512_storeu_ps(p, x); }
  static void StorePart(float* p, int64_t count, Reg x) noexcept { _mm512_mask_storeu_ps(p, Mask(count), x); }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  static Reg Max(Reg a, Reg b) noexcept { return _mm512_max_ps(a, b); }
  static Reg Min(Reg a, Reg b) noexcept { return _mm512_min_ps(a, b); }
};

struct ZmmWords : ZmmSums {
  using In = __m512i;
  static constexpr int kGroup = 2;
  static constexpr int64_t kChannels = 32;
  static __mmask32 Mask(int64_t count) noexcept { return static_cast<__mmask32>((uint64_t{1} << count) - 1); }
  static In Load(const uint8_t* p, int64_t count) noexcept {
    return _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(Mask(count), p));
  }
  static In Flip(In x) noexcept { return _mm512_xor_si512(x, _mm512_set1_epi16(0x80)); }
  static In None() noexcept { return _mm512_setzero_si512(); }
  static void Interleave(const In (&taps)[2], Reg (&out)[2]) noexcept {
    out[0] = _mm512_unpacklo_epi16(taps[0], taps[1]);
    out[1] = _mm512_unpackhi_epi16(taps[0], taps[1]);
  }
  static Reg Dot(Reg sum, Reg x, const int8_t* weights) noexcept {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(x, _mm512_load_si512(weights)));
  }
  static void StoreBytes(uint8_t* p, int64_t count, const Reg (&rounded)[2], int16_t zero, int16_t low,
                         int16_t high, bool) noexcept {
    const Reg words = Words(rounded[0], rounded[1], zero, low, high);
    _mm256_mask_storeu_epi8(p, Mask(count), _mm512_cvtepi16_epi8(words));
  }
};

struct YmmWords : YmmSums {
  using In = __m256i;
  static constexpr int kGroup = 2;
  static constexpr int64_t kChannels = 16;
  static __mmask16 Mask(int64_t count) noexcept { return static_cast<__mmask16>((1u << count) - 1); }
  static In Load(const uint8_t* p, int64_t count) noexcept {
    return _mm256_cvtepu8_epi16(_mm_maskz_loadu_epi8(Mask(count), p));
  }
  static In Flip(In x) noexcept { return _mm256_xor_si256(x, _mm256_set1_epi16(0x80)); }
  static In None() noexcept { return _mm256_setzero_si256(); }
  static void Interleave(const In (&taps)[2], Reg (&out)[2]) noexcept {
    out[0] = _mm256_unpacklo_epi16(taps[0], taps[1]);
    out[1] = _mm256_unpackhi_epi16(taps[0], taps[1]);
  }
  static Reg Dot(Reg sum, Reg x, const int8_t* weights) noexcept {
    const Reg w = _mm256_load_si256(reinterpret_cast<const __m256i*>(weights));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w));
  }
  static void StoreBytes(uint8_t* p, int64_t count, const Reg (&rounded)[2], int16_t zero, int16_t low,
                         int16_t high, bool) noexcept {
    const Reg words = Words(rounded[0], rounded[1], zero, low, high);
    _mm_mask_storeu_epi8(p, Mask(count), _mm256_cvtepi16_epi8(words));
  }
};

}  // namespace

void depthwise_f32_avx512(const DepthwiseArgs& args) noexcept { Depthwise<Floats>(args); }
void depthwise_u8s8_avx512(const Int8DepthwiseArgs& args) noexcept {
  Int8Depthwise<ZmmWords, YmmWords>(args);
}

}  // namespace strop::engine
