#include <immintrin.h>

#include "strop/engine/kernels/int8_gemm/declarations.h"
#include "strop/engine/kernels/int8_gemm/tile.h"

namespace strop::engine {
namespace {

struct Ymm {
  using Reg = __m256i;
  static constexpr int64_t kWidth = 8;
  static Reg Zero() noexcept { return _mm256_setzero_si256(); }
  static Reg Set1(uint32_t x) noexcept { return _mm256_set1_epi32(static_cast<int32_t>(x)); }
  static Reg Load(const int8_t* p) noexcept { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }
  static Reg LoadSums(const int32_t* p) noexcept {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void StoreSums(int32_t* p, Reg x) noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
  static Reg Xor(Reg a, Reg b) noexcept { return _mm256_xor_si256(a, b); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm256_add_epi32(a, b); }
  // Pairs that 16 bits do not hold were parted at packing.
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept {
    const Reg pairs = _mm256_maddubs_epi16(a, b);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  using Float = __m256;
  static Float SetFloat(float x) noexcept { return _mm256_set1_ps(x); }
  static Float LoadFloats(const float* p) noexcept { return _mm256_load_ps(p); }
  static void StoreFloats(float* p, Float x) noexcept { _mm256_storeu_ps(p, x); }
  static Float ToFloat(Reg x) noexcept { return _mm256_cvtepi32_ps(x); }
  static Float Mul(Float a, Float b) noexcept { return _mm256_mul_ps(a, b); }
  static Float AddFloats(Float a, Float b) noexcept { return _mm256_add_ps(a, b); }
  static Float Max(Float a, Float b) noexcept { return _mm256_max_ps(a, b); }
  static Float Min(Float a, Float b) noexcept { return _mm256_min_ps(a, b); }
  static Reg Round(Float x) noexcept { return _mm256_cvtps_epi32(x); }
  static void StoreBytes(uint8_t* p, Reg x) noexcept {
    // The lowest byte of each lane to the front of its half, and the halves together.
    const Reg front = _mm256_shuffle_epi8(x, _mm256_set1_epi32(0x0c080400));
    const __m128i eight =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(front), _mm256_extracti128_si256(front, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), eight);
  }
};

}  // namespace

void gemv_u8s8_1x16_avx2(const Int8GemmArgs& args) noexcept { Int8Gemm<Ymm, 1, 2>(args); }
void gemm_u8s8_4x16_avx2(const Int8GemmArgs& args) noexcept { Int8Gemm<Ymm, 4, 2>(args); }

}  // namespace strop::engine
