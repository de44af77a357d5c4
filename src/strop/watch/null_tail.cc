#include "strop/watch/null_tail.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace strop::watch {
namespace {

// The first two derivatives of K(t) = -1/2 sum log(1 - 2 t w), the cumulant generating function.
struct Slope {
  double first = 0, second = 0;
};

Slope SlopeAt(std::span<const double> weights, double t) {
  Slope slope;
  for (const double w : weights) {
    const double ratio = w / (1 - 2 * t * w);
    slope.first += ratio;
    slope.second += 2 * ratio * ratio;
  }
  return slope;
}

// P(Q > K'(t)).
double TailAt(std::span<const double> weights, double t) {
  const Slope slope = SlopeAt(weights, t);
  double k = 0;
  for (const double w : weights) k -= std::log1p(-2 * t * w) / 2;
  const double w = std::copysign(std::sqrt(std::max(0.0, 2 * (t * slope.first - k))), t);
  if (std::abs(w) < 1e-4) {
    // At the mean the formula is 0 / 0; this is its limit.
    double third = 0;
    for (const double weight : weights) third += 8 * weight * weight * weight;
    return 0.5 - third / (6 * std::sqrt(2 * std::numbers::pi) * std::pow(slope.second, 1.5));
  }
  const double v = t * std::sqrt(slope.second);
  const double density = std::exp(-w * w / 2) / std::sqrt(2 * std::numbers::pi);
  return std::clamp(std::erfc(w / std::numbers::sqrt2) / 2 + density * (1 / v - 1 / w), 0.0, 1.0);
}

// Where K' has its pole; it grows from 0 to infinity up to there.
double Pole(std::span<const double> weights) {
  return 0.5 / *std::max_element(weights.begin(), weights.end());
}

}  // namespace

double QuadraticFormTail(std::span<const double> weights, double q) {
  if (q <= 0) return 1;
  // Newton's step on K'(t) = q where it stays within the bracket, its middle otherwise.
  double high = Pole(weights), low = -high, t = 0;
  while (SlopeAt(weights, low).first > q) low *= 2;
  for (int i = 0; i < 200; ++i) {
    const Slope slope = SlopeAt(weights, t);
    const double excess = slope.first - q;
    if (std::abs(excess) <= 1e-12 * q) break;
    (excess > 0 ? high : low) = t;
    const double step = t - excess / slope.second;
    t = step > low && step < high ? step : low + (high - low) / 2;
  }
  return TailAt(weights, t);
}

double QuadraticFormQuantile(std::span<const double> weights, double probability) {
  // Every t gives a q and its tail at once, so that no equation is solved within another.
  double low = 0, high = Pole(weights);
  for (int i = 0; i < 100; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle == low || middle == high) break;
    (TailAt(weights, middle) > probability ? low : high) = middle;
  }
  return SlopeAt(weights, low).first;
}

}  // namespace strop::watch
