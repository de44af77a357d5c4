#pragma once

#include <cstdint>

// Elementary functions over a vector type V (FloatLane, FloatYmm, FloatZmm). A V lies in the unnamed
// namespace of the ISA file that includes it, so that each file keeps its own instances of what is here. Its
// Max and Min answer their second operand where either is NaN, as vmaxps does; Scale(x, n) is x · 2^n.
//
// All are inlined: GCC otherwise calls those with several users, and spills a loop's constants around the
// call.
namespace strop::engine {

template <class V, int N>
[[gnu::always_inline]] inline typename V::Reg Polynomial(typename V::Reg x,
                                                         const float (&highest_first)[N]) noexcept {
  typename V::Reg sum = V::Set1(highest_first[0]);
#pragma GCC unroll 16
  for (int i = 1; i < N; ++i) sum = V::Fma(sum, x, V::Set1(highest_first[i]));
  return sum;
}

// Added to |x| < 2^22 and taken off again it rounds x, and leaves the integer plus 127 in the lowest bits:
// shifted to its place, the exponent of 2^x.
inline constexpr float kRoundToExponent = 12582912.0f + 127.0f;  // 1.5 · 2^23

// e^x = 2^n · e^r with |r| <= ln 2 / 2, where n stands in `shifted`. Moshier, Cephes, single/expf.c.
template <class V>
[[gnu::always_inline]] inline typename V::Reg ExpParts(typename V::Reg x, typename V::Reg& shifted) noexcept {
  shifted = V::Fma(x, V::Set1(1.44269504f), V::Set1(kRoundToExponent));
  const auto n = V::Sub(shifted, V::Set1(kRoundToExponent));
  // ln 2 in two parts, the first of few enough bits that n times it is exact.
  const auto r = V::Fnma(n, V::Set1(-2.12194440e-4f), V::Fnma(n, V::Set1(0.693359375f), x));
  constexpr float kCoefficients[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                     4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  return V::Add(V::Fma(Polynomial<V>(r, kCoefficients), V::Mul(r, r), r), V::Set1(1));
}

template <class V>
[[gnu::always_inline]] inline typename V::Reg Exp(typename V::Reg x) noexcept {
  // Beyond these bounds the answer is infinite, or less than half of the smallest denormal.
  x = V::Min(V::Set1(89), V::Max(V::Set1(-105), x));
  typename V::Reg shifted;
  const auto fraction = ExpParts<V>(x, shifted);
  return V::Scale(fraction, V::Sub(shifted, V::Set1(kRoundToExponent)));
}

// e^x of -87.3 <= x <= 88, or NaN, without Exp's care for the ends.
template <class V>
[[gnu::always_inline]] inline typename V::Reg ExpWithin(typename V::Reg x) noexcept {
  typename V::Reg shifted;
  const auto fraction = ExpParts<V>(x, shifted);
  return V::Mul(fraction, V::FromBits(V::ToExponent(V::Bits(shifted))));
}

// e^x of x <= 0, or NaN; 0 below -87.3, where the truth is below 1.2e-38.
template <class V>
[[gnu::always_inline]] inline typename V::Reg ExpOfNegative(typename V::Reg x) noexcept {
  const auto low = V::Set1(-87.3f);
  return V::Select(V::Less(x, low), V::Set1(0), ExpWithin<V>(V::Max(low, x)));
}

// Moshier, Cephes, single/logf.c: x = m · 2^e with m within [√½, √2).
template <class V>
[[gnu::always_inline]] inline typename V::Reg Log(typename V::Reg x) noexcept {
  const auto denormal = V::Less(x, V::Set1(1.17549435e-38f));
  const auto scaled = V::Select(denormal, V::Mul(x, V::Set1(8388608)), x);
  const auto root_half = V::SetInt(0x3f3504f3);
  const auto bits = V::SubInt(V::Bits(scaled), root_half);
  const auto m = V::FromBits(V::AddInt(V::AndInt(bits, V::SetInt(0x007fffff)), root_half));
  const auto e = V::Sub(V::ToFloat(V::FromExponent(bits)), V::Select(denormal, V::Set1(23), V::Set1(0)));
  const auto r = V::Sub(m, V::Set1(1)), square = V::Mul(r, r);
  constexpr float kCoefficients[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                                     -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                                     2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  auto y = V::Mul(V::Mul(Polynomial<V>(r, kCoefficients), r), square);
  y = V::Fma(e, V::Set1(-2.12194440e-4f), y);
  y = V::Fma(square, V::Set1(-0.5f), y);
  y = V::Fma(e, V::Set1(0.693359375f), V::Add(r, y));
  const auto infinity = V::Set1(__builtin_inff());
  y = V::Select(V::Equal(x, infinity), infinity, y);
  y = V::Select(V::Equal(x, V::Set1(0)), V::Neg(infinity), y);
  y = V::Select(V::Less(x, V::Set1(0)), V::Set1(__builtin_nanf("")), y);
  return V::Select(V::Nan(x), x, y);
}

// 2^x of -126 <= x <= 126 as a fraction times a power of two. Lawson's weighted least squares, as Erf's.
template <class V>
[[gnu::always_inline]] inline typename V::Reg Exp2Parts(typename V::Reg x, typename V::Reg& power) noexcept {
  constexpr float kCoefficients[] = {0x1.5c08e6p-10f, 0x1.3d0c52p-7f, 0x1.c6b6e4p-5f,
                                     0x1.ebf918p-3f,  0x1.62e428p-1f, 0x1.000002p+0f};
  const auto shifted = V::Add(x, V::Set1(kRoundToExponent));
  power = V::FromBits(V::ToExponent(V::Bits(shifted)));
  return Polynomial<V>(V::Sub(x, V::Sub(shifted, V::Set1(kRoundToExponent))), kCoefficients);
}

// x + x · p(x²) up to kSplit, then 1 - 2^q(|x|), the scheme of N. Juffa
// (stackoverflow.com/questions/35148198). Its coefficients are Lawson's weighted least squares towards the
// least largest relative error of erf.
template <class V>
[[gnu::always_inline]] inline typename V::Reg Erf(typename V::Reg x) noexcept {
  constexpr float kSplit = 0.92f;
  constexpr float kMost = 3.95f;  // from here on erf rounds to 1
  constexpr float kSmall[] = {-0x1.3a8aacp-11f, 0x1.47575ap-8f,  -0x1.b68ff4p-6f,
                              0x1.ce1abap-4f,   -0x1.8126e8p-2f, 0x1.06eba6p-3f};
  constexpr float kLogOfRest[] = {0x1.2868b6p-12f, -0x1.1fbb44p-8f, 0x1.06b0acp-5f,  -0x1.331494p-3f,
                                  -0x1.d6a934p-1f, -0x1.a07c00p+0f, -0x1.280368p-12f};
  const auto magnitude = V::Abs(x);
  const auto square = V::Mul(x, x);
  const auto small = V::Fma(Polynomial<V>(square, kSmall), x, x);
  const auto log = Polynomial<V>(V::Min(V::Set1(kMost), magnitude), kLogOfRest);
  typename V::Reg power;
  const auto fraction = Exp2Parts<V>(log, power);
  const auto large = V::CopySign(V::Fnma(fraction, power, V::Set1(1)), x);
  return V::Select(V::Less(magnitude, V::Set1(kSplit)), small, large);
}

// x · Φ(x) = max(x, 0) - |x| / 2 · erfc(|x| / √2), where log2 erfc is a polynomial, the scheme of Erf's far
// part (Lawson's weighted least squares towards the least largest error of erfc), and erfc is 0 from kMost
// on.
template <class V>
[[gnu::always_inline]] inline typename V::Reg Gelu(typename V::Reg x) noexcept {
  constexpr float kMost = 4;
  constexpr float kLogOfErfc[] = {0x1.91ef70p-14f, -0x1.c42d3ap-12f, -0x1.3853e2p-9f, 0x1.e4436cp-6f,
                                  -0x1.313832p-3f, -0x1.d62c3ep-1f,  -0x1.a0bf26p+0f, 0x1.bceacap-24f};
  const auto magnitude = V::Abs(x);
  const auto t = V::Mul(magnitude, V::Set1(0.70710678f));
  typename V::Reg power;
  const auto fraction = Exp2Parts<V>(Polynomial<V>(V::Min(V::Set1(kMost), t), kLogOfErfc), power);
  const auto far = V::Max(V::Set1(0), x);
  const auto near = V::Fnma(V::Mul(magnitude, V::Set1(0.5f)), V::Mul(fraction, power), far);
  return V::Select(V::Less(t, V::Set1(kMost)), near, far);
}

// Moshier, Cephes, single/tanhf.c.
template <class V>
[[gnu::always_inline]] inline typename V::Reg Tanh(typename V::Reg x) noexcept {
  constexpr float kCoefficients[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f,
                                     1.33314422036e-1f, -3.33332819422e-1f};
  const auto magnitude = V::Abs(x);
  const auto square = V::Mul(x, x);
  const auto small = V::Fma(V::Mul(Polynomial<V>(square, kCoefficients), square), magnitude, magnitude);
  const auto bounded = V::Min(V::Set1(10), magnitude);  // from 9.02 on tanh rounds to 1
  const auto power = ExpWithin<V>(V::Add(bounded, bounded));
  const auto large = V::Sub(V::Set1(1), V::Div(V::Set1(2), V::Add(power, V::Set1(1))));
  return V::CopySign(V::Select(V::Less(magnitude, V::Set1(0.625f)), small, large), x);
}

// 1 / (1 + e^-x) as z / (1 + z) of z = e^-|x|, or 1 less it, so that neither end loses digits.
template <class V>
[[gnu::always_inline]] inline typename V::Reg Sigmoid(typename V::Reg x) noexcept {
  const auto power = ExpOfNegative<V>(V::Neg(V::Abs(x)));
  const auto above = V::Select(V::Less(x, V::Set1(0)), power, V::Set1(1));
  return V::Div(above, V::Add(power, V::Set1(1)));
}

}  // namespace strop::engine
