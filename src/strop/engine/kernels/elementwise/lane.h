#pragma once

#include <cstdint>
#include <cstring>

namespace strop::engine {
namespace {

// The vector type of vector_math.h with one lane, in plain C++. A tail never comes up.
struct FloatLane {
  using Reg = float;
  using Int = uint32_t;
  using Mask = bool;
  static constexpr int64_t kWidth = 1;
  static constexpr bool kExactFma = false;  // of one rounding
  static Reg Set1(float x) noexcept { return x; }
  static Reg Load(const float* p) noexcept { return *p; }
  static void Store(float* p, Reg x) noexcept { *p = x; }
  static Reg LoadPart(const float* p, int64_t) noexcept { return *p; }
  static void StorePart(float* p, int64_t, Reg x) noexcept { *p = x; }
  static Mask PartMask(int64_t) noexcept { return true; }

  static Reg Add(Reg a, Reg b) noexcept { return a + b; }
  static Reg Sub(Reg a, Reg b) noexcept { return a - b; }
  static Reg Mul(Reg a, Reg b) noexcept { return a * b; }
  static Reg Div(Reg a, Reg b) noexcept { return a / b; }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return a * b + c; }
  static Reg Fnma(Reg a, Reg b, Reg c) noexcept { return c - a * b; }
  static Reg Max(Reg a, Reg b) noexcept { return a > b ? a : b; }
  static Reg Min(Reg a, Reg b) noexcept { return a < b ? a : b; }
  static Reg Sqrt(Reg x) noexcept { return __builtin_sqrtf(x); }
  static Reg Floor(Reg x) noexcept { return __builtin_floorf(x); }
  static Reg Ceil(Reg x) noexcept { return __builtin_ceilf(x); }
  static Reg Round(Reg x) noexcept { return __builtin_rintf(x); }
  static Reg Neg(Reg x) noexcept { return FromBits(Bits(x) ^ 0x80000000u); }
  static Reg Abs(Reg x) noexcept { return FromBits(Bits(x) & 0x7fffffffu); }
  static Reg CopySign(Reg x, Reg sign) noexcept {
    return FromBits((Bits(x) & 0x7fffffffu) | (Bits(sign) & 0x80000000u));
  }
  // x · 2^n of an integral n within ±252.
  static Reg Scale(Reg x, Reg n) noexcept {
    const int32_t whole = ToInt(n), half = whole / 2;
    return x * FromBits(static_cast<Int>(half + 127) << 23) *
           FromBits(static_cast<Int>(whole - half + 127) << 23);
  }

  static Mask Less(Reg a, Reg b) noexcept { return a < b; }
  static Mask Equal(Reg a, Reg b) noexcept { return a == b; }
  static Mask Nan(Reg x) noexcept { return x != x; }
  static Reg Select(Mask m, Reg a, Reg b) noexcept { return m ? a : b; }

  static Int Bits(Reg x) noexcept {
    Int bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
  }
  static Reg FromBits(Int bits) noexcept {
    Reg x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
  static Int SetInt(int32_t x) noexcept { return static_cast<Int>(x); }
  static Int AddInt(Int a, Int b) noexcept { return a + b; }
  static Int SubInt(Int a, Int b) noexcept { return a - b; }
  static Int AndInt(Int a, Int b) noexcept { return a & b; }
  static Int ToExponent(Int x) noexcept { return x << 23; }
  static Int FromExponent(Int x) noexcept { return static_cast<Int>(static_cast<int32_t>(x) >> 23); }
  static Reg ToFloat(Int x) noexcept { return static_cast<Reg>(static_cast<int32_t>(x)); }
  static Int RoundToInt(Reg x) noexcept { return static_cast<Int>(ToInt(Round(x))); }
  static Int ZeroWhere(Mask m, Int x) noexcept { return m ? 0 : x; }

  static Int LoadU8(const uint8_t* p) noexcept { return *p; }
  static Int LoadS8(const uint8_t* p) noexcept { return static_cast<Int>(static_cast<int8_t>(*p)); }
  static Int LoadPartU8(const uint8_t* p, int64_t) noexcept { return LoadU8(p); }
  static Int LoadPartS8(const uint8_t* p, int64_t) noexcept { return LoadS8(p); }
  static void StoreBytes(uint8_t* p, Int x) noexcept { *p = static_cast<uint8_t>(x); }
  static void StorePartBytes(uint8_t* p, int64_t, Int x) noexcept { StoreBytes(p, x); }

  static int64_t LookUp(const uint8_t*, const uint8_t*, uint8_t*, int64_t) noexcept { return 0; }

  static float SumLanes(Reg x) noexcept { return x; }
  static float MaxLanes(Reg x) noexcept { return x; }

 private:
  static int32_t ToInt(float x) noexcept { return x == x ? static_cast<int32_t>(x) : 0; }
};

}  // namespace
}  // namespace strop::engine
