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
  static Reg LoadPart(const float* p, __mmask16 part) noexcept { return _mm512_maskz_loadu_ps(part, p); }
  static void StorePart(float* p, __mmask16 part, Reg x) noexcept { _mm512_mask_storeu_ps(p, part, x); }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm512_add_ps(a, b); }
  // The second operand is the answer when either is NaN.
  static Reg Max(Reg a, Reg b) noexcept { return _mm512_max_ps(a, b); }
  static Reg Min(Reg a, Reg b) noexcept { return _mm512_min_ps(a, b); }
};

}  // namespace

void gemv_f32_1x32_avx512(const GemmArgs& args) noexcept { Gemm<Zmm, 1, 2>(args); }
void gemm_f32_12x32_avx512(const GemmArgs& args) noexcept { Gemm<Zmm, 12, 2>(args); }

}  // namespace strop::engine
