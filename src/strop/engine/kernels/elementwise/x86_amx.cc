#include "strop/engine/kernels/elementwise/declarations.h"
#include "strop/engine/kernels/elementwise/loops.h"
#include "strop/engine/kernels/elementwise/zmm.h"

namespace strop::engine {
namespace {

// A CPU with tiles has VBMI, which looks up 64 bytes in two permutations of 128 entries: 3 times as fast.
struct VbmiZmm : FloatZmm {
  static int64_t LookUp(const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t n) noexcept {
    __m512i entries[4];
    for (int64_t i = 0; i < 4; ++i) entries[i] = _mm512_loadu_si512(table + 64 * i);
    const auto look = [&](__m512i index) {
      const __m512i low = _mm512_permutex2var_epi8(entries[0], index, entries[1]);
      const __m512i high = _mm512_permutex2var_epi8(entries[2], index, entries[3]);
      return _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high);
    };
    int64_t at = 0;
    for (; at + 64 <= n; at += 64) _mm512_storeu_si512(y + at, look(_mm512_loadu_si512(x + at)));
    if (at < n) {
      const __mmask64 part = (uint64_t{1} << (n - at)) - 1;
      _mm512_mask_storeu_epi8(y + at, part, look(_mm512_maskz_loadu_epi8(part, x + at)));
    }
    return n;
  }
};

}  // namespace

constinit const ElementwiseFunctions elementwise_amx = ElementwiseLanes<VbmiZmm>();

}  // namespace strop::engine
