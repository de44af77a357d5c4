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
  static void StoreBytes(uint8_t* p, Reg x) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x));
  }
};

}  // namespace
}  // namespace strop::engine
