#include <immintrin.h>

#include "strop/engine/kernels/depthwise/declarations.h"
#include "strop/engine/kernels/depthwise/int8_tile.h"
#include "strop/engine/kernels/depthwise/x86_lanes.h"

namespace strop::engine {
namespace {

struct ZmmBytes : ZmmSums {
  using In = __m512i;
  static constexpr int kGroup = 4;
  static constexpr int64_t kChannels = 64;
  static __mmask64 Mask(int64_t count) noexcept { return ~uint64_t{0} >> (kChannels - count); }
  static In Load(const uint8_t* p, int64_t count) noexcept { return _mm512_maskz_loadu_epi8(Mask(count), p); }
  static In Flip(In x) noexcept { return _mm512_xor_si512(x, _mm512_set1_epi8(-128)); }
  static In None() noexcept { return _mm512_setzero_si512(); }
  static void Interleave(const In (&taps)[4], Reg (&out)[4]) noexcept {
    const Reg low01 = _mm512_unpacklo_epi8(taps[0], taps[1]), low23 = _mm512_unpacklo_epi8(taps[2], taps[3]);
    const Reg high01 = _mm512_unpackhi_epi8(taps[0], taps[1]),
              high23 = _mm512_unpackhi_epi8(taps[2], taps[3]);
    out[0] = _mm512_unpacklo_epi16(low01, low23);
    out[1] = _mm512_unpackhi_epi16(low01, low23);
    out[2] = _mm512_unpacklo_epi16(high01, high23);
    out[3] = _mm512_unpackhi_epi16(high01, high23);
  }
  static Reg Dot(Reg sum, Reg x, const int8_t* weights) noexcept {
    return _mm512_dpbusd_epi32(sum, x, _mm512_load_si512(weights));
  }
  static void StoreBytes(uint8_t* p, int64_t count, const Reg (&rounded)[4], int16_t zero, int16_t low,
                         int16_t high, bool is_signed) noexcept {
    const Reg first = Words(rounded[0], rounded[1], zero, low, high);
    const Reg last = Words(rounded[2], rounded[3], zero, low, high);
    _mm512_mask_storeu_epi8(p, Mask(count),
                            is_signed ? _mm512_packs_epi16(first, last) : _mm512_packus_epi16(first, last));
  }
};

struct YmmBytes : YmmSums {
  using In = __m256i;
  static constexpr int kGroup = 4;
  static constexpr int64_t kChannels = 32;
  static __mmask32 Mask(int64_t count) noexcept { return ~uint32_t{0} >> (kChannels - count); }
  static In Load(const uint8_t* p, int64_t count) noexcept { return _mm256_maskz_loadu_epi8(Mask(count), p); }
  static In Flip(In x) noexcept { return _mm256_xor_si256(x, _mm256_set1_epi8(-128)); }
  static In None() noexcept { return _mm256_setzero_si256(); }
  static void Interleave(const In (&taps)[4], Reg (&out)[4]) noexcept {
    const Reg low01 = _mm256_unpacklo_epi8(taps[0], taps[1]), low23 = _mm256_unpacklo_epi8(taps[2], taps[3]);
    const Reg high01 = _mm256_unpackhi_epi8(taps[0], taps[1]),
              high23 = _mm256_unpackhi_epi8(taps[2], taps[3]);
    out[0] = _mm256_unpacklo_epi16(low01, low23);
    out[1] = _mm256_unpackhi_epi16(low01, low23);
    out[2] = _mm256_unpacklo_epi16(high01, high23);
    out[3] = _mm256_unpackhi_epi16(high01, high23);
  }
  static Reg Dot(Reg sum, Reg x, const int8_t* weights) noexcept {
    return _mm256_dpbusd_epi32(sum, x, _mm256_load_si256(reinterpret_cast<const __m256i*>(weights)));
  }
  static void StoreBytes(uint8_t* p, int64_t count, const Reg (&rounded)[4], int16_t zero, int16_t low,
                         int16_t high, bool is_signed) noexcept {
    const Reg first = Words(rounded[0], rounded[1], zero, low, high);
    const Reg last = Words(rounded[2], rounded[3], zero, low, high);
    _mm256_mask_storeu_epi8(p, Mask(count),
                            is_signed ? _mm256_packs_epi16(first, last) : _mm256_packus_epi16(first, last));
  }
};

struct XmmBytes : XmmSums {
  using In = __m128i;
  static constexpr int kGroup = 4;
  static constexpr int64_t kChannels = 16;
  static __mmask16 Mask(int64_t count) noexcept { return static_cast<__mmask16>((1u << count) - 1); }
  static In Load(const uint8_t* p, int64_t count) noexcept { return _mm_maskz_loadu_epi8(Mask(count), p); }
  static In Flip(In x) noexcept { return _mm_xor_si128(x, _mm_set1_epi8(-128)); }
  static In None() noexcept { return _mm_setzero_si128(); }
  static void Interleave(const In (&taps)[4], Reg (&out)[4]) noexcept {
    const Reg low01 = _mm_unpacklo_epi8(taps[0], taps[1]), low23 = _mm_unpacklo_epi8(taps[2], taps[3]);
    const Reg high01 = _mm_unpackhi_epi8(taps[0], taps[1]), high23 = _mm_unpackhi_epi8(taps[2], taps[3]);
    out[0] = _mm_unpacklo_epi16(low01, low23);
    out[1] = _mm_unpackhi_epi16(low01, low23);
    out[2] = _mm_unpacklo_epi16(high01, high23);
    out[3] = _mm_unpackhi_epi16(high01, high23);
  }
  static Reg Dot(Reg sum, Reg x, const int8_t* weights) noexcept {
    return _mm_dpbusd_epi32(sum, x, _mm_load_si128(reinterpret_cast<const __m128i*>(weights)));
  }
  static void StoreBytes(uint8_t* p, int64_t count, const Reg (&rounded)[4], int16_t zero, int16_t low,
                         int16_t high, bool is_signed) noexcept {
    const Reg first = Words(rounded[0], rounded[1], zero, low, high);
    const Reg last = Words(rounded[2], rounded[3], zero, low, high);
    _mm_mask_storeu_epi8(p, Mask(count),
                         is_signed ? _mm_packs_epi16(first, last) : _mm_packus_epi16(first, last));
  }
};

}  // namespace

void depthwise_u8s8_avx512vnni(const Int8DepthwiseArgs& args) noexcept {
  Int8Depthwise<ZmmBytes, YmmBytes, XmmBytes>(args);
}

}  // namespace strop::engine
