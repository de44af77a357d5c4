#include <immintrin.h>

#include "strop/engine/kernels/trees/declarations.h"
#include "strop/engine/kernels/trees/walk.h"

namespace strop::engine {
namespace {

struct Ymm {
  using Reg = __m256i;
  static constexpr int64_t kWidth = 8;
  static Reg Set(int32_t x) noexcept { return _mm256_set1_epi32(x); }
  static Reg Load(const int32_t* p) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void Store(int32_t* p, Reg x) noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }

  static bool Step(const TreeArgs& args, Reg& at, Reg offset) noexcept {
    // A node is gathered whole; then thresholds and packed halves part.
    const auto* nodes = reinterpret_cast<const long long*>(args.nodes);
    const __m256 low = _mm256_castsi256_ps(_mm256_i32gather_epi64(nodes, _mm256_castsi256_si128(at), 8));
    const __m256 high =
        _mm256_castsi256_ps(_mm256_i32gather_epi64(nodes, _mm256_extracti128_si256(at, 1), 8));
    const __m256 threshold = InOrder(_mm256_shuffle_ps(low, high, 0x88));
    const __m256i packed = _mm256_castps_si256(InOrder(_mm256_shuffle_ps(low, high, 0xdd)));
    const __m256i feature = _mm256_and_si256(_mm256_srli_epi32(packed, TreeNode::kStepBits),
                                             _mm256_set1_epi32(TreeNode::kFeatures - 1));
    const __m256 x = _mm256_i32gather_ps(args.x, _mm256_add_epi32(feature, offset), 4);
    const __m256 nan_is_yes = _mm256_castsi256_ps(_mm256_srai_epi32(packed, 31));
    const __m256 nan = _mm256_and_ps(_mm256_cmp_ps(x, x, _CMP_UNORD_Q), nan_is_yes);
    const __m256 no = _mm256_andnot_ps(nan, _mm256_cmp_ps(x, threshold, _CMP_NLE_UQ));
    // A mask is -1.
    const __m256i step = _mm256_sub_epi32(_mm256_and_si256(packed, _mm256_set1_epi32(TreeNode::kSteps - 1)),
                                          _mm256_castps_si256(no));
    at = _mm256_add_epi32(at, step);
    return _mm256_testz_si256(step, step) == 0;
  }

  // From the order 0 1 4 5 2 3 6 7.
  static __m256 InOrder(__m256 x) noexcept {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), 0xd8));
  }
};

}  // namespace

void trees_f32_avx2(const TreeArgs& args) noexcept { Walk<Ymm, 4>::Run(args); }

}  // namespace strop::engine
