#include "strop/engine/kernels/int8_gemm/declarations.h"
#include "strop/engine/kernels/int8_gemm/tile.h"
#include "strop/engine/kernels/int8_gemm/zmm.h"

namespace strop::engine {
namespace {

struct Zmm : ZmmLanes {
  static constexpr bool kPairs = false;
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept { return _mm512_dpbusd_epi32(sum, a, b); }
};

}  // namespace

void gemv_u8s8_1x64_avx512vnni(const Int8GemmArgs& args) noexcept { Int8Gemm<Zmm, 1, 4>(args); }
void gemm_u8s8_6x64_avx512vnni(const Int8GemmArgs& args) noexcept { Int8Gemm<Zmm, 6, 4>(args); }

}  // namespace strop::engine
