#pragma once

#include <cstdint>

#include <immintrin.h>

namespace strop::engine {
namespace {

// What the AVX-512 files share of their vectors of 64 bytes; each adds its Dot.
struct ZmmByteLanes {
  using Reg = __m512i;
  static Reg Set1(int x) noexcept { return _mm512_set1_epi8(static_cast<char>(x)); }
  static float Sum(Reg x) noexcept {
    alignas(64) int32_t lanes[16];
    _mm512_store_si512(lanes, x);
    float sum = 0;
    for (const int32_t lane : lanes) sum += static_cast<float>(lane);
    return sum;
  }
  static void Opaque(Reg& x) noexcept { __asm__ volatile("" : "+v"(x)); }
};

}  // namespace
}  // namespace strop::engine
