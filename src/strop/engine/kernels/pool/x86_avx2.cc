#include <immintrin.h>

#include <cstring>

#include "strop/engine/kernels/pool/declarations.h"
#include "strop/engine/kernels/pool/tile.h"

namespace strop::engine {
namespace {

alignas(64) constexpr int32_t kLanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

inline __m256i MaskOf(int64_t count) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLanes + 8 - count));
}

struct Floats {
  using Element = float;
  using Reg = __m256;
  static constexpr int64_t kWidth = 8;
  static Reg Load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static Reg LoadPart(const float* p, int64_t count) noexcept { return _mm256_maskload_ps(p, MaskOf(count)); }
  static void Store(float* p, Reg x) noexcept { _mm256_storeu_ps(p, x); }
  static void StorePart(float* p, int64_t count, Reg x) noexcept { _mm256_maskstore_ps(p, MaskOf(count), x); }
  static Reg Least() noexcept { return _mm256_set1_ps(-__builtin_inff()); }
  static Reg Max(Reg a, Reg b) noexcept { return _mm256_max_ps(a, b); }
  static Reg Set1(float x) noexcept { return _mm256_set1_ps(x); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm256_add_ps(a, b); }
  static Reg Div(Reg a, Reg b) noexcept { return _mm256_div_ps(a, b); }
};

struct Bytes {
  using Element = uint8_t;
  using Reg = __m256i;
  static constexpr int64_t kWidth = 32;
  static Reg Load(const uint8_t* p) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static Reg LoadPart(const uint8_t* p, int64_t count) noexcept {
    alignas(32) uint8_t part[32];
    std::memcpy(part, p, static_cast<size_t>(count));
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(part));
  }
  static void Store(uint8_t* p, Reg x) noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
  static void StorePart(uint8_t* p, int64_t count, Reg x) noexcept {
    alignas(32) uint8_t part[32];
    _mm256_store_si256(reinterpret_cast<__m256i*>(part), x);
    std::memcpy(p, part, static_cast<size_t>(count));
  }
};
struct U8 : Bytes {
  static Reg Least() noexcept { return _mm256_setzero_si256(); }
  static Reg Max(Reg a, Reg b) noexcept { return _mm256_max_epu8(a, b); }
};
struct S8 : Bytes {
  static Reg Least() noexcept { return _mm256_set1_epi8(-128); }
  static Reg Max(Reg a, Reg b) noexcept { return _mm256_max_epi8(a, b); }
};

struct Sums {
  using Element = uint8_t;
  using Reg = __m256i;
  using Float = __m256;
  static constexpr int64_t kWidth = 8;
  static __m128i Eight(const uint8_t* p) noexcept {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  }
  static __m128i Few(const uint8_t* p, int64_t count) noexcept {
    alignas(16) uint8_t part[16] = {};
    std::memcpy(part, p, static_cast<size_t>(count));
    return Eight(part);
  }
  static Reg Set(int32_t x) noexcept { return _mm256_set1_epi32(x); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm256_add_epi32(a, b); }
  static Float SetFloat(float x) noexcept { return _mm256_set1_ps(x); }
  static Float ToFloat(Reg x) noexcept { return _mm256_cvtepi32_ps(x); }
  static Float Mul(Float a, Float b) noexcept { return _mm256_mul_ps(a, b); }
  static Float AddFloats(Float a, Float b) noexcept { return _mm256_add_ps(a, b); }
  static Float MaxFloat(Float a, Float b) noexcept { return _mm256_max_ps(a, b); }
  static Float MinFloat(Float a, Float b) noexcept { return _mm256_min_ps(a, b); }
  static Reg Round(Float x) noexcept { return _mm256_cvtps_epi32(x); }
  static void StoreWords(int32_t* p, int64_t count, Reg x) noexcept {
    _mm256_maskstore_epi32(p, MaskOf(count), x);
  }
  static void StoreFloats(float* p, int64_t count, Float x) noexcept {
    _mm256_maskstore_ps(p, MaskOf(count), x);
  }
  static void StoreBytes(uint8_t* p, int64_t count, Reg x) noexcept {
    // The lowest byte of each lane to the front of its half, and the halves together.
    const Reg front = _mm256_shuffle_epi8(x, _mm256_set1_epi32(0x0c080400));
    alignas(16) uint8_t eight[16];
    _mm_store_si128(reinterpret_cast<__m128i*>(eight),
                    _mm_unpacklo_epi32(_mm256_castsi256_si128(front), _mm256_extracti128_si256(front, 1)));
    std::memcpy(p, eight, static_cast<size_t>(count));
  }
};
struct U8Sums : Sums {
  static Reg Load(const uint8_t* p) noexcept { return _mm256_cvtepu8_epi32(Eight(p)); }
  static Reg LoadPart(const uint8_t* p, int64_t count) noexcept {
    return _mm256_cvtepu8_epi32(Few(p, count));
  }
};
struct S8Sums : Sums {
  static Reg Load(const uint8_t* p) noexcept { return _mm256_cvtepi8_epi32(Eight(p)); }
  static Reg LoadPart(const uint8_t* p, int64_t count) noexcept {
    return _mm256_cvtepi8_epi32(Few(p, count));
  }
};

}  // namespace

void max_pool_avx2(const MaxPoolArgs& args) noexcept { MaxPoolOf<Floats, U8, S8>(args); }
void average_pool_avx2(const AveragePoolArgs& args) noexcept { AveragePool<Floats>(args); }
void global_pool_avx2(const GlobalPoolArgs& args) noexcept { GlobalPoolOf<Floats, U8Sums, S8Sums>(args); }

}  // namespace strop::engine
