#include "strop/engine/kernels/int8_gemm/declarations.h"
#include "strop/engine/kernels/int8_gemm/tile.h"
#include "strop/engine/kernels/int8_gemm/zmm.h"

namespace strop::engine {
namespace {

struct Zmm : ZmmLanes {
  static constexpr bool kPairs = true;  // of which none exceeds 16 bits: see PackedInt8Weights
  static Reg Pick(const uint8_t* p, Reg picks) noexcept { return PickOf(p, kInt8RestSpan, picks); }
  static Reg PickOf(const uint8_t* p, int64_t n, Reg picks) noexcept {
    const __m128i bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << n) - 1), p);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), picks);
  }
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept {
    const Reg pairs = _mm512_maddubs_epi16(a, b);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
};

}  // namespace

void gemv_u8s8_1x64_avx512(const Int8GemmArgs& args) noexcept { Int8Gemm<Zmm, 1, 4>(args); }
void gemm_u8s8_6x64_avx512(const Int8GemmArgs& args) noexcept { Int8Gemm<Zmm, 6, 4>(args); }

}  // namespace strop::engine
