#include <immintrin.h>

#include "strop/engine/kernels/pool/declarations.h"
#include "strop/engine/kernels/pool/tile.h"

namespace strop::engine {
namespace {

inline __mmask16 MaskOf(int64_t count) noexcept { return static_cast<__mmask16>((1u << count) - 1); }

struct Floats {
  using Element = float;
  using Reg = __m512;
  static constexpr int64_t kWidth = 16;
  static Reg Load(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static Reg LoadPart(const float* p, int64_t count) noexcept {
    return _mm512_maskz_loadu_ps(MaskOf(count), p);
  }
  static void Store(float* p, Reg x) noexcept { _mm512_storeu_ps(p, x); }
  static void StorePart(float* p, int64_t count, Reg x) noexcept {
    _mm512_mask_storeu_ps(p, MaskOf(count), x);
  }
  static Reg Least() noexcept { return _mm512_set1_ps(-__builtin_inff()); }
  static Reg Max(Reg a, Reg b) noexcept { return _mm512_max_ps(a, b); }
  static Reg Set1(float x) noexcept { return _mm512_set1_ps(x); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm512_add_ps(a, b); }
  static Reg Div(Reg a, Reg b) noexcept { return _mm512_div_ps(a, b); }
};

struct Bytes {
  using Element = uint8_t;
  using Reg = __m512i;
  static constexpr int64_t kWidth = 64;
  static __mmask64 Mask(int64_t count) noexcept { return ~uint64_t{0} >> (kWidth - count); }
  static Reg Load(const uint8_t* p) noexcept { return _mm512_loadu_si512(p); }
  static Reg LoadPart(const uint8_t* p, int64_t count) noexcept {
    return _mm512_maskz_loadu_epi8(Mask(count), p);
  }
  static void Store(uint8_t* p, Reg x) noexcept { _mm512_storeu_si512(p, x); }
  static void StorePart(uint8_t* p, int64_t count, Reg x) noexcept {
    _mm512_mask_storeu_epi8(p, Mask(count), x);
  }
};
struct U8 : Bytes {
  static Reg Least() noexcept { return _mm512_setzero_si512(); }
  static Reg Max(Reg a, Reg b) noexcept { return _mm512_max_epu8(a, b); }
};
struct S8 : Bytes {
  static Reg Least() noexcept { return _mm512_set1_epi8(-128); }
  static Reg Max(Reg a, Reg b) noexcept { return _mm512_max_epi8(a, b); }
};

struct Sums {
  using Element = uint8_t;
  using Reg = __m512i;
  using Float = __m512;
  static constexpr int64_t kWidth = 16;
  static __m128i Sixteen(const uint8_t* p) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static __m128i Few(const uint8_t* p, int64_t count) noexcept {
    return _mm_maskz_loadu_epi8(MaskOf(count), p);
  }
  static Reg Set(int32_t x) noexcept { return _mm512_set1_epi32(x); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm512_add_epi32(a, b); }
  static Float SetFloat(float x) noexcept { return _mm512_set1_ps(x); }
  static Float ToFloat(Reg x) noexcept { return _mm512_cvtepi32_ps(x); }
  static Float Mul(Float a, Float b) noexcept { return _mm512_mul_ps(a, b); }
  static Float AddFloats(Float a, Float b) noexcept { return _mm512_add_ps(a, b); }
  static Float MaxFloat(Float a, Float b) noexcept { return _mm512_max_ps(a, b); }
  static Float MinFloat(Float a, Float b) noexcept { return _mm512_min_ps(a, b); }
  static Reg Round(Float x) noexcept { return _mm512_cvtps_epi32(x); }
  static void StoreWords(int32_t* p, int64_t count, Reg x) noexcept {
    _mm512_mask_storeu_epi32(p, MaskOf(count), x);
  }
  static void StoreFloats(float* p, int64_t count, Float x) noexcept {
    _mm512_mask_storeu_ps(p, MaskOf(count), x);
  }
  static void StoreBytes(uint8_t* p, int64_t count, Reg x) noexcept {
    _mm_mask_storeu_epi8(p, MaskOf(count), _mm512_cvtepi32_epi8(x));
  }
};
struct U8Sums : Sums {
  static Reg Load(const uint8_t* p) noexcept { return _mm512_cvtepu8_epi32(Sixteen(p)); }
  static Reg LoadPart(const uint8_t* p, int64_t count) noexcept {
    return _mm512_cvtepu8_epi32(Few(p, count));
  }
};
struct S8Sums : Sums {
  static Reg Load(const uint8_t* p) noexcept { return _mm512_cvtepi8_epi32(Sixteen(p)); }
  static Reg LoadPart(const uint8_t* p, int64_t count) noexcept {
    return _mm512_cvtepi8_epi32(Few(p, count));
  }
};

}  // namespace

void max_pool_avx512(const MaxPoolArgs& args) noexcept { MaxPoolOf<Floats, U8, S8>(args); }
void average_pool_avx512(const AveragePoolArgs& args) noexcept { AveragePool<Floats>(args); }
void global_pool_avx512(const GlobalPoolArgs& args) noexcept { GlobalPoolOf<Floats, U8Sums, S8Sums>(args); }

}  // namespace strop::engine
