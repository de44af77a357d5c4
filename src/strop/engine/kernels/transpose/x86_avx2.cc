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
    if (rows < kTile || columns < kTile)
      return TransposePlain<Bytes>(in, in_row, rows, columns, out, out_row);
    __m128i tile[16];
#pragma GCC unroll 16
    for (int64_t i = 0; i < 16; ++i)
      tile[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i * in_row));
    TransposeBytes16(tile);
#pragma GCC unroll 16
    for (int64_t j = 0; j < 16; ++j) _mm_storeu_si128(reinterpret_cast<__m128i*>(out + j * out_row), tile[j]);
  }
};

alignas(64) constexpr int32_t kLanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

struct Words {
  using Element = uint32_t;
  static constexpr int64_t kTile = 8;
  static __m256i Mask(int64_t count) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLanes + kTile - count));
  }
  static void Tile(const uint32_t* in, int64_t in_row, int64_t rows, int64_t columns, uint32_t* out,
                   int64_t out_row) noexcept {
    __m256 a[8], b[8];
    const __m256i mask = Mask(columns);
#pragma GCC unroll 8
    for (int64_t i = 0; i < 8; ++i)
      a[i] = i < rows ? _mm256_maskload_ps(reinterpret_cast<const float*>(in + i * in_row), mask)
                      : _mm256_setzero_ps();
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) {  // pairs of rows, in each half of a register
      b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
      b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int64_t i = 0; i < 8; i += 4) {  // fours of rows
      a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
      a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
      a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
      a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int64_t j = 0; j < 4; ++j) {
      b[j] = _mm256_permute2f128_ps(a[j], a[j + 4], 0x20);
      b[j + 4] = _mm256_permute2f128_ps(a[j], a[j + 4], 0x31);
    }
    const __m256i part = Mask(rows);
#pragma GCC unroll 8
    for (int64_t j = 0; j < 8; ++j) {
      if (j >= columns) return;
      _mm256_maskstore_ps(reinterpret_cast<float*>(out + j * out_row), part, b[j]);
    }
  }
};

}  // namespace

void transpose_avx2(const TransposeArgs& args) noexcept { Transpose<Bytes, Words>(args); }

}  // namespace strop::engine
