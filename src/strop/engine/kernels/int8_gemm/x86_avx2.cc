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
  static void Store(int32_t* p, Reg x) noexcept { _mm256_store_si256(reinterpret_cast<__m256i*>(p), x); }
  static Reg Xor(Reg a, Reg b) noexcept { return _mm256_xor_si256(a, b); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm256_add_epi32(a, b); }
  // Pairs that 16 bits do not hold were parted at packing.
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept {
    const Reg pairs = _mm256_maddubs_epi16(a, b);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
};

}  // namespace

void gemv_u8s8_1x16_avx2(const Int8GemmArgs& args) noexcept { Int8Gemm<Ymm, 1, 2>(args); }
void gemm_u8s8_4x16_avx2(const Int8GemmArgs& args) noexcept { Int8Gemm<Ymm, 4, 2>(args); }

}  // namespace strop::engine
