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

}  // namespace

float peak_f32_scalar(int64_t steps) noexcept { return Peak<Lane>(steps); }

}  // namespace strop::engine
