#include "strop/engine/kernels/roofline/peak.h"

namespace strop::engine {
namespace {

struct Lane {
  using Reg = float;
  static Reg Set1(float x) noexcept { return x; }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return a * b + c; }
  static float Sum(Reg x) noexcept { return x; }
#if defined(__x86_64__)
  static void Opaque(Reg& x) noexcept { __asm__ volatile("" : "+x"(x)); }
#else
  static void Opaque(Reg& x) noexcept { __asm__ volatile("" : "+m"(x)); }
#endif
};

struct Product {
  using Reg = uint32_t;
  static Reg Set1(int x) noexcept { return static_cast<Reg>(x); }
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept { return sum + a * b; }
  static float Sum(Reg x) noexcept { return static_cast<float>(x); }
  static void Opaque(Reg& x) noexcept { __asm__ volatile("" : "+r"(x)); }
};

}  // namespace

float peak_f32_scalar(int64_t steps) noexcept { return Peak<Lane>(steps); }
float peak_int8_scalar(int64_t steps) noexcept { return PeakInt8<Product>(steps); }

}  // namespace strop::engine
