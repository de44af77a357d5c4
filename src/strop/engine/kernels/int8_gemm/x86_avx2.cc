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
  static constexpr bool kPairs = true;  // of which none exceeds 16 bits: see PackedInt8Weights
  static Reg Pick(const uint8_t* p, Reg picks) noexcept {
    return Picked(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), picks);
  }
  static Reg PickOf(const uint8_t* p, int64_t n, Reg picks) noexcept {
    const __m128i lanes = _mm_setr_epi32(0, 1, 2, 3), whole = _mm_set1_epi32(static_cast<int32_t>(n / 4));
    const __m128i bytes =
        _mm_maskload_epi32(reinterpret_cast<const int32_t*>(p), _mm_cmpgt_epi32(whole, lanes));
    if (n % 4 == 0) return Picked(bytes, picks);
    int32_t last = 0;
    std::memcpy(&last, p + n / 4 * 4, static_cast<size_t>(n % 4));
    const __m128i end = _mm_and_si128(_mm_set1_epi32(last), _mm_cmpeq_epi32(whole, lanes));
    return Picked(_mm_or_si128(bytes, end), picks);
  }
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
  static void StorePart(int32_t* p, int64_t n, Reg x) noexcept { _mm256_maskstore_epi32(p, First(n), x); }
  static void StorePart(float* p, int64_t n, Float x) noexcept { _mm256_maskstore_ps(p, First(n), x); }

  static Reg SetZero(int32_t zero) noexcept { return _mm256_set1_epi16(static_cast<int16_t>(zero)); }
  template <int NV, bool kSigned>
  static void StoreBytes(uint8_t* p, int64_t stride, int64_t rows, int64_t n, const Reg (&x)[4],
                         Reg zero) noexcept {
    const Reg front = _mm256_adds_epi16(_mm256_packs_epi32(x[0], x[1]), zero);
    const Reg back = _mm256_adds_epi16(_mm256_packs_epi32(x[2], x[3]), zero);
    const Reg packed = kSigned ? _mm256_packs_epi16(front, back) : _mm256_packus_epi16(front, back);
    // Half h of vector v lies at h * 4 + v.
    const Reg bytes = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    constexpr int64_t kBytes = NV * kWidth;
    if (n == kBytes && rows >= 4 / NV) {
      if constexpr (NV == 2) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(bytes));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p + stride), _mm256_extracti128_si256(bytes, 1));
      } else {
        const __m128i halves[2] = {_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)};
        for (int64_t half = 0; half < 2; ++half) {
          _mm_storel_epi64(reinterpret_cast<__m128i*>(p + 2 * half * stride), halves[half]);
          _mm_storeh_pd(reinterpret_cast<double*>(p + (2 * half + 1) * stride),
                        _mm_castsi128_pd(halves[half]));
        }
      }
      return;
    }
    alignas(32) uint8_t all[32];
    _mm256_store_si256(reinterpret_cast<Reg*>(all), bytes);
    for (int64_t row = 0; row < 4 / NV && row < rows; ++row)
      std::memcpy(p + row * stride, all + row * kBytes, static_cast<size_t>(n));
  }

 private:
  static Reg Picked(__m128i bytes, Reg picks) noexcept {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), picks);
  }
  static Reg First(int64_t n) noexcept {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

}  // namespace

void gemv_u8s8_1x16_avx2(const Int8GemmArgs& args) noexcept { Int8Gemm<Ymm, 1, 2>(args); }
void gemm_u8s8_4x16_avx2(const Int8GemmArgs& args) noexcept { Int8Gemm<Ymm, 4, 2>(args); }

}  // namespace strop::engine
