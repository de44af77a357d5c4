#include <immintrin.h>

#include "strop/engine/kernels/depthwise/declarations.h"
#include "strop/engine/kernels/depthwise/float_tile.h"
#include "strop/engine/kernels/depthwise/int8_tile.h"

namespace strop::engine {
namespace {

alignas(64) constexpr int32_t kLanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

struct Floats {
  using Reg = __m256;
  static constexpr int64_t kWidth = 8;
  static Reg Set1(float x) noexcept { return _mm256_set1_ps(x); }
  static Reg Load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static __m256i Mask(int64_t count) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLanes + kWidth - count));
  }
  static Reg LoadPart(const float* p, int64_t count) noexcept { return _mm256_maskload_ps(p, Mask(count)); }
  static void Store(float* p, Reg x) noexcept { _mm256_storeu_ps(p, x); }
  static void StorePart(float* p, int64_t count, Reg x) noexcept { _mm256_maskstore_ps(p, Mask(count), x); }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  static Reg Max(Reg a, Reg b) noexcept { return _mm256_max_ps(a, b); }
  static Reg Min(Reg a, Reg b) noexcept { return _mm256_min_ps(a, b); }
};

struct Words {
  using In = __m256i;
  using Reg = __m256i;
  using Float = __m256;
  static constexpr int kGroup = 2;
  static constexpr int64_t kChannels = 16;
  static In Load(const uint8_t* p, int64_t count) noexcept {
    if (count >= kChannels) return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    if (count == 8) return _mm256_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    alignas(16) uint8_t part[16] = {};
    for (int64_t i = 0; i < count; ++i) part[i] = p[i];
    return _mm256_cvtepu8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(part)));
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
  static void StoreBytes(uint8_t* p, int64_t count, const Reg (&rounded)[2], int16_t zero, int16_t low,
                         int16_t high, bool) noexcept {
    Reg words = _mm256_adds_epi16(_mm256_packs_epi32(rounded[0], rounded[1]), _mm256_set1_epi16(zero));
    words = _mm256_min_epi16(_mm256_max_epi16(words, _mm256_set1_epi16(low)), _mm256_set1_epi16(high));
    words = _mm256_and_si256(words, _mm256_set1_epi16(0xff));
    words = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0x08);
    const __m128i bytes = _mm256_castsi256_si128(words);
    if (count >= kChannels) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
    } else {
      alignas(16) uint8_t part[16];
      _mm_store_si128(reinterpret_cast<__m128i*>(part), bytes);
      std::memcpy(p, part, static_cast<size_t>(count));
    }
  }
};

}  // namespace

void depthwise_f32_avx2(const DepthwiseArgs& args) noexcept { Depthwise<Floats>(args); }
void depthwise_u8s8_avx2(const Int8DepthwiseArgs& args) noexcept { Int8Depthwise<Words>(args); }

}  // namespace strop::engine
