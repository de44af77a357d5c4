#pragma once

#include <immintrin.h>

#include <cstdint>

namespace strop::engine {
namespace {

// 16 × 16 bytes in place: each step interleaves rows that lie half apart, so that after four the numbers of
// row and column have changed places.
inline void TransposeBytes16(__m128i (&rows)[16]) noexcept {
  for (int step = 0; step < 4; ++step) {
    __m128i next[16];
#pragma GCC unroll 8
    for (int64_t i = 0; i < 8; ++i) {
      next[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + 8]);
      next[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + 8]);
    }
#pragma GCC unroll 16
    for (int64_t i = 0; i < 16; ++i) rows[i] = next[i];
  }
}

}  // namespace
}  // namespace strop::engine
