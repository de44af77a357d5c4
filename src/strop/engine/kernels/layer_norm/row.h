#pragma once

#include <cstdint>

#include "strop/engine/kernels/elementwise/each_vector.h"
#include "strop/engine/kernels/layer_norm/args.h"

namespace strop::engine {

template <class V>
inline float TotalOf(const typename V::Reg (&sums)[kRowSums]) noexcept {
  return V::SumLanes(V::Add(V::Add(sums[0], sums[1]), V::Add(sums[2], sums[3])));
}

// y = (t - center - shift) · factor · gamma + beta
template <class V, bool kBeta>
inline void NormalizeRow(const float* t, float center, float shift, float factor, const float* gamma,
                         const float* beta, float* y, int64_t n) noexcept {
  using Reg = typename V::Reg;
  const Reg middle = V::Set1(center), rest = V::Set1(shift), inverse = V::Set1(factor);
  EachVector<V>(n, [&](auto vector, int64_t at, int) {
    const Reg centered = V::Sub(V::Sub(vector.Load(t + at), middle), rest);
    const Reg normal = V::Mul(centered, inverse), weight = vector.Load(gamma + at);
    if constexpr (kBeta) {
      vector.Store(y + at, V::Fma(normal, weight, vector.Load(beta + at)));
    } else {
      vector.Store(y + at, V::Mul(normal, weight));
    }
  });
}

// 1 / sqrt(variance + epsilon); rounding may have left the variance of equal elements just below 0.
template <class V>
inline float InverseDeviation(float variance, float epsilon) noexcept {
  const float radicand = (variance < 0 ? 0 : variance) + epsilon;
  alignas(64) float inverse[V::kWidth];
  V::Store(inverse, V::Div(V::Set1(1), V::Sqrt(V::Set1(radicand))));
  return inverse[0];
}

// The mean is rounded, so the deviations from it do not add up to 0: what they add up to corrects mean and
// variance (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983).
template <class V>
inline void LayerNormRow(const float* x, const float* residual, const LayerNormArgs& args,
                         float* y) noexcept {
  using Reg = typename V::Reg;
  const int64_t n = args.n;
  const auto count = static_cast<float>(n);
  const Reg zero = V::Set1(0);
  Reg sums[kRowSums] = {zero, zero, zero, zero};
  if (residual != nullptr) {
    EachVector<V>(n, [&](auto vector, int64_t at, int sum) {
      const Reg t = V::Add(vector.Load(x + at), vector.Load(residual + at));
      vector.Store(y + at, t);
      sums[sum] = V::Add(sums[sum], t);  // beyond the row both are 0
    });
    x = y;
  } else if (!args.root_mean_square) {
    EachVector<V>(
        n, [&](auto vector, int64_t at, int sum) { sums[sum] = V::Add(sums[sum], vector.Load(x + at)); });
  }
  const float center = args.root_mean_square ? 0 : TotalOf<V>(sums) / count;
  const Reg middle = V::Set1(center);
  Reg deviations[kRowSums] = {zero, zero, zero, zero}, squares[kRowSums] = {zero, zero, zero, zero};
  EachVector<V>(n, [&](auto vector, int64_t at, int sum) {
    const Reg deviation = vector.OrElse(V::Sub(vector.Load(x + at), middle), zero);
    deviations[sum] = V::Add(deviations[sum], deviation);
    squares[sum] = V::Fma(deviation, deviation, squares[sum]);
  });
  const float shift = args.root_mean_square ? 0 : TotalOf<V>(deviations) / count;
  const float inverse = InverseDeviation<V>(TotalOf<V>(squares) / count - shift * shift, args.epsilon);
  if (args.beta == nullptr) {
    NormalizeRow<V, false>(x, center, shift, inverse, args.gamma, nullptr, y, n);
  } else {
    NormalizeRow<V, true>(x, center, shift, inverse, args.gamma, args.beta, y, n);
  }
}

template <class V>
inline void LayerNorm(const LayerNormArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* residual = args.residual == nullptr ? nullptr : args.residual + row * args.ld_residual;
    LayerNormRow<V>(args.x + row * args.ldx, residual, args, args.y + row * args.ldy);
  }
}

}  // namespace strop::engine
