#pragma once

namespace strop::engine {

// What an activation bounds its answers to, inclusive: Relu is {0, infinity}, Clip {min, max}. NaN stays NaN,
// and infinity as a bound is none. Not an aggregate, so that no bool becomes a bound. Files compiled for an
// instruction set read the members only: an inline function of theirs could end up in the others.
struct Clamp {
  constexpr Clamp() noexcept = default;
  constexpr Clamp(float lowest, float highest) noexcept : low(lowest), high(highest) {}

  static constexpr Clamp Relu() noexcept { return {0, __builtin_inff()}; }
  constexpr bool IsNone() const noexcept { return low == -__builtin_inff() && high == __builtin_inff(); }

  float low = -__builtin_inff();
  float high = __builtin_inff();  // from low up
};

}  // namespace strop::engine
