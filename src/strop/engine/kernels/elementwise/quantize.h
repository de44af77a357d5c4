#pragma once

#include <cstdint>

namespace strop::engine {

// Calls visit with the function that quantizes a vector.
template <class V, class Visit>
inline void VisitQuantize(float scale, int32_t zero, bool is_signed, Visit visit) noexcept {
  using Reg = typename V::Reg;
  const int32_t low = is_signed ? -128 : 0;
  const auto bound = [](int32_t integer) { return V::Set1(static_cast<float>(integer)); };
  // Integers both, so that to clamp before rounding is to clamp after it.
  const Reg least = bound(low - zero), most = bound(low + 255 - zero);
  const auto offset = V::SetInt(zero);
  const auto finish = [=](Reg quotient, Reg seen) {
    const Reg bounded = V::Min(most, V::Max(least, quotient));
    return V::ZeroWhere(V::Nan(seen), V::AddInt(V::RoundToInt(bounded), offset));
  };
  const Reg divisor = V::Set1(scale);
  // A product by the reciprocal, mended by its exact remainder, is the correctly rounded quotient: Markstein,
  // "Computation of elementary functions on the IBM RISC System/6000 processor" (1990), theorem 8. It is
  // bounded first, so that nothing overflows on the way to a byte that saturates, and what underflows rounds
  // to 0. A division of sixteen floats takes eight times as long.
  if (V::kExactFma && scale > 1e-30f && scale < 1e30f) {
    const Reg reciprocal = V::Set1(1 / scale);
    const Reg below = bound(low - zero - 1), above = bound(low + 256 - zero);
    return visit([=](Reg x) {
      const Reg product = V::Mul(x, reciprocal);
      const Reg bounded = V::Min(above, V::Max(below, product));
      return finish(V::Fma(V::Fnma(bounded, divisor, x), reciprocal, bounded), x);
    });
  }
  visit([=](Reg x) {
    const Reg quotient = V::Div(x, divisor);
    return finish(quotient, quotient);
  });
}

}  // namespace strop::engine
