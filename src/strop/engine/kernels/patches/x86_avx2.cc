#include <immintrin.h>

#include "strop/engine/kernels/patches/copy.h"
#include "strop/engine/kernels/patches/declarations.h"

namespace strop::engine {
namespace {

struct Ymm {
  // Two copies that overlap make any size between one and two of theirs.
  static void Copy(void* to, const void* from, int64_t bytes) noexcept {
    auto* out = static_cast<uint8_t*>(to);
    auto* in = static_cast<const uint8_t*>(from);
    if (bytes >= 32) {
      for (int64_t i = 0; i + 32 <= bytes; i += 32) Move32(out + i, in + i);
      if (bytes % 32 != 0) Move32(out + bytes - 32, in + bytes - 32);
    } else if (bytes >= 16) {
      Move16(out, in);
      Move16(out + bytes - 16, in + bytes - 16);
    } else if (bytes >= 8) {
      std::memcpy(out, in, 8);
      std::memcpy(out + bytes - 8, in + bytes - 8, 8);
    } else if (bytes >= 4) {
      std::memcpy(out, in, 4);
      std::memcpy(out + bytes - 4, in + bytes - 4, 4);
    } else if (bytes >= 2) {
      std::memcpy(out, in, 2);
      std::memcpy(out + bytes - 2, in + bytes - 2, 2);
    } else if (bytes == 1) {
      std::memcpy(out, in, 1);
    }
  }
  static void Move32(uint8_t* out, const uint8_t* in) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in)));
  }
  static void Move16(uint8_t* out, const uint8_t* in) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
  }
};

}  // namespace

void patches_avx2(const PatchesArgs& args) noexcept { Patches<Ymm>(args); }

}  // namespace strop::engine
