#pragma once

#include <immintrin.h>

#include <cstdint>

namespace strop::engine {
namespace {

// What the two AVX-512 files share of their vectors of 16 lanes; each adds its Dot.
struct ZmmLanes {
  using Reg = __m512i;
  static constexpr int64_t kWidth = 16;
  static Reg Zero() noexcept { return _mm512_setzero_si512(); }
  static Reg Set1(uint32_t x) noexcept { return _mm512_set1_epi32(static_cast<int32_t>(x)); }
  static Reg Load(const int8_t* p) noexcept { return _mm512_load_si512(p); }
  static void Store(int32_t* p, Reg x) noexcept { _mm512_store_si512(p, x); }
  static Reg Xor(Reg a, Reg b) noexcept { return _mm512_xor_si512(a, b); }
  static Reg Add(Reg a, Reg b) noexcept { return _mm512_add_epi32(a, b); }
};

}  // namespace
}  // namespace strop::engine
