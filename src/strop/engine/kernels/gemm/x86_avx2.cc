#include <cstdint>

#include <immintrin.h>

#include "strop/engine/kernels/gemm/declarations.h"
#include "strop/engine/kernels/gemm/tile.h"

namespace strop::engine {
namespace {

alignas(64) constexpr int32_t kLanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

struct Ymm {
  using Reg = __m256;
  static constexpr int64_t kWidth = 8;
  static Reg Zero() noexcept { return _mm256_setzero_ps(); }
  static Reg Set1(float x) noexcept { return _mm256_set1_ps(x); }
  static Reg Load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static void Store(float* p, Reg x) noexcept { _mm256_storeu_ps(p, x); }
  static __m256i Mask(int64_t count) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLanes + kWidth - count));
  }
  static Reg LoadPart(const float* p, __m256i part) noexcept { return _mm256_maskload_ps(p, part); }
  static void StorePart(float* p, __m256i part, Reg x) noexcept { _mm256_maskstore_ps(p, part, x); }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm256_add_ps(a, b); }
  // The second operand is the answer when either is NaN.
  static Reg Max(Reg a, Reg b) noexcept { return _mm256_max_ps(a, b); }
  static Reg Min(Reg a, Reg b) noexcept { return _mm256_min_ps(a, b); }
};

}  // namespace

void gemv_f32_1x16_avx2(const GemmArgs& args) noexcept { Gemm<Ymm, 1, 2>(args); }
void gemm_f32_6x16_avx2(const GemmArgs& args) noexcept { Gemm<Ymm, 6, 2>(args); }

}  // namespace strop::engine
