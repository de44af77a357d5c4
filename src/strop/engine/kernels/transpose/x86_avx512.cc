#include <immintrin.h>

#include "strop/engine/kernels/transpose/declarations.h"
#include "strop/engine/kernels/transpose/tile.h"
#include "strop/engine/kernels/transpose/x86_bytes.h"

namespace strop::engine {
namespace {

struct Bytes {
  using Element = uint8_t;
  static constexpr int64_t kTile = 16;
  static void Tile(const uint8_t* in, int64_t in_row, int64_t rows, int64_t columns, uint8_t* out,
                   int64_t out_row) noexcept {
    __m128i tile[16];
    const auto mask = static_cast<__mmask16>((1u << columns) - 1),
               part = static_cast<__mmask16>((1u << rows) - 1);
#pragma GCC unroll 16
    for (int64_t i = 0; i < 16; ++i)
      tile[i] = i < rows ? _mm_maskz_loadu_epi8(mask, in + i * in_row) : _mm_setzero_si128();
    TransposeBytes16(tile);
#pragma GCC unroll 16
    for (int64_t j = 0; j < 16; ++j) {
      if (j >= columns) return;
      _mm_mask_storeu_epi8(out + j * out_row, part, tile[j]);
    }
  }
};

struct Words {
  using Element = uint32_t;
  static constexpr int64_t kTile = 16;
  static void Tile(const uint32_t* in, int64_t in_row, int64_t rows, int64_t columns, uint32_t* out,
                   int64_t out_row) noexcept {
    __m512i a[16], b[16];
    const auto mask = static_cast<__mmask16>((1u << columns) - 1),
               part = static_cast<__mmask16>((1u << rows) - 1);
#pragma GCC unroll 16
    for (int64_t i = 0; i < 16; ++i)
      a[i] = i < rows ? _mm512_maskz_loadu_epi32(mask, in + i * in_row) : _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int64_t i = 0; i < 16; i += 2) {  // pairs of rows, in each quarter of a register
      b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
      b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
#pragma GCC unroll 4
    for (int64_t i = 0; i < 16; i += 4) {  // fours of rows: a[i + c] has columns c, c + 4, c + 8 and c + 12
      a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
      a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
      a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
      a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
#pragma GCC unroll 4
    for (int64_t c = 0; c < 4; ++c) {  // quarters to their places
      const __m512i even0 = _mm512_shuffle_i32x4(a[c], a[c + 4], 0x88);
      const __m512i even1 = _mm512_shuffle_i32x4(a[c + 8], a[c + 12], 0x88);
      const __m512i odd0 = _mm512_shuffle_i32x4(a[c], a[c + 4], 0xdd);
      const __m512i odd1 = _mm512_shuffle_i32x4(a[c + 8], a[c + 12], 0xdd);
      b[c] = _mm512_shuffle_i32x4(even0, even1, 0x88);
      b[c + 8] = _mm512_shuffle_i32x4(even0, even1, 0xdd);
      b[c + 4] = _mm512_shuffle_i32x4(odd0, odd1, 0x88);
      b[c + 12] = _mm512_shuffle_i32x4(odd0, odd1, 0xdd);
    }
#pragma GCC unroll 16
    for (int64_t j = 0; j < 16; ++j) {
      if (j >= columns) return;
      _mm512_mask_storeu_epi32(out + j * out_row, part, b[j]);
    }
  }
};

}  // namespace

void transpose_avx512(const TransposeArgs& args) noexcept { Transpose<Bytes, Words>(args); }

}  // namespace strop::engine
