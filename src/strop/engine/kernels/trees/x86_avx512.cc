#include <immintrin.h>

#include "strop/engine/kernels/trees/declarations.h"
#include "strop/engine/kernels/trees/walk.h"

namespace strop::engine {
namespace {

struct Zmm {
  using Reg = __m512i;
  static constexpr int64_t kWidth = 16;
  static Reg Set(int32_t x) noexcept { return _mm512_set1_epi32(x); }
  static Reg Load(const int32_t* p) noexcept { return _mm512_loadu_si512(p); }
  static void Store(int32_t* p, Reg x) noexcept { _mm512_storeu_si512(p, x); }

  static bool Step(const TreeArgs& args, Reg& at, Reg offset) noexcept {
    // A node is gathered whole; then thresholds and packed halves part.
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), args.nodes, 8);
    const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), args.nodes, 8);
    const __m512 threshold = _mm512_castsi512_ps(_mm512_permutex2var_epi32(low, even, high));
    const __m512i packed = _mm512_permutex2var_epi32(low, odd, high);
    const __m512i feature = _mm512_and_si512(_mm512_srli_epi32(packed, TreeNode::kStepBits),
                                             _mm512_set1_epi32(TreeNode::kFeatures - 1));
    const __m512 x = _mm512_i32gather_ps(_mm512_add_epi32(feature, offset), args.x, 4);
    const __mmask16 nan = _mm512_mask_cmp_ps_mask(_mm512_movepi32_mask(packed), x, x, _CMP_UNORD_Q);
    const __mmask16 no = _mm512_mask_cmp_ps_mask(_knot_mask16(nan), x, threshold, _CMP_NLE_UQ);
    const __m512i yes = _mm512_and_si512(packed, _mm512_set1_epi32(TreeNode::kSteps - 1));
    const __m512i step = _mm512_mask_add_epi32(yes, no, yes, _mm512_set1_epi32(1));
    at = _mm512_add_epi32(at, step);
    return _mm512_test_epi32_mask(step, step) != 0;
  }
};

}  // namespace

void trees_f32_avx512(const TreeArgs& args) noexcept { Walk<Zmm, 4>::Run(args); }

}  // namespace strop::engine
