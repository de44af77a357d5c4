#include <immintrin.h>

#include "strop/engine/kernels/patches/copy.h"
#include "strop/engine/kernels/patches/declarations.h"

namespace strop::engine {
namespace {

struct Zmm {
  static void Copy(void* to, const void* from, int64_t bytes) noexcept {
    auto* out = static_cast<uint8_t*>(to);
    auto* in = static_cast<const uint8_t*>(from);
    int64_t i = 0;
    for (; i + 64 <= bytes; i += 64) _mm512_storeu_si512(out + i, _mm512_loadu_si512(in + i));
    if (i < bytes) {
      const __mmask64 mask = (uint64_t{1} << (bytes - i)) - 1;
      _mm512_mask_storeu_epi8(out + i, mask, _mm512_maskz_loadu_epi8(mask, in + i));
    }
  }
};

}  // namespace

void patches_avx512(const PatchesArgs& args) noexcept { Patches<Zmm>(args); }

}  // namespace strop::engine
