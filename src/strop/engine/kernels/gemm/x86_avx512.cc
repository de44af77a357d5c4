#include <cstdint>

#include <immintrin.h>

#include "strop/engine/kernels/gemm/declarations.h"
#include "strop/engine/kernels/gemm/tile.h"

namespace strop::engine {
namespace {

struct Zmm {
  using Reg = __m512;
  static constexpr int64_t kWidth = 16;
  static Reg Zero() noexcept { return _mm512_setzero_ps(); }
  static Reg Set1(float x) noexcept { return _mm512_set1_ps(x); }
  static Reg Load(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static void Store(float* p, Reg x) noexcept { _mm512_storeu_ps(p, x); }
  static __mmask16 Mask(int64_t count) noexcept { return static_cast<__mmask16>((1u << count) - 1); }
  static Reg LoadPart(const float* p, int64_t count) noexcept {
    return _mm512_maskz_loadu_ps(Mask(count), p);
  }
  static void StorePart(float* p, int64_t count, Reg x) noexcept { _mm512_mask_storeu_ps(p, Mask(count), x); }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm512_add_ps(a, b); }
  // The second operand is what vmaxps answers when one is NaN.
  static Reg MaxZero(Reg x) noexcept { return _mm512_max_ps(_mm512_setzero_ps(), x); }
};

}  // namespace

void gemv_f32_1x32_avx512(const GemmArgs& args) noexcept { Gemv<Zmm, 2>(args); }
void gemm_f32_12x32_avx512(const GemmArgs& args) noexcept { Gemm<Zmm, 12, 2>(args); }

}  // namespace strop::engine
