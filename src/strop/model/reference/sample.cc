#include "strop/model/reference/sample.h"

#include <algorithm>
#include <cmath>

#include "strop/model/reference/numeric.h"

namespace strop::model::reference {
namespace {

double Reflect(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  const double folded = std::fmod(std::fabs(x - low), 2 * range);
  return low + (folded > range ? 2 * range - folded : folded);
}

double Bring(double x, int64_t size, const Sampling& sampling) {
  const auto length = static_cast<double>(size);
  const double low = sampling.align_corners ? 0 : -0.5,
               high = sampling.align_corners ? length - 1 : length - 0.5;
  if (x >= low && x <= high) return x;
  if (sampling.outside == Outside::kBorder) return std::clamp(x, 0.0, length - 1);
  return sampling.outside == Outside::kReflection ? Reflect(x, low, high) : x;
}

// The element that stands for place i of an axis, -1 for a zero.
int64_t Element(int64_t i, int64_t size, const Sampling& sampling) {
  if (i >= 0 && i < size) return i;
  if (sampling.outside == Outside::kZeros) return -1;
  return std::clamp<int64_t>(static_cast<int64_t>(Bring(static_cast<double>(i), size, sampling)), 0,
                             size - 1);
}

double Cubic(double x) {
  constexpr double kA = -0.75;
  x = std::fabs(x);
  if (x <= 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  return x < 2 ? ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA : 0;
}

double Weight(double distance, int taps) {
  if (taps == 1) return 1;
  return taps == 2 ? std::max(0.0, 1 - std::fabs(distance)) : Cubic(distance);
}

}  // namespace

double SampleAt(std::span<const double> plane, const Shape& shape, std::vector<double> position,
                const Sampling& sampling) {
  const size_t axes = shape.size();
  std::vector<int64_t> first(axes);
  for (size_t axis = 0; axis < axes; ++axis) {
    double& x = position[axis];
    if (sampling.taps == 1) x = std::nearbyint(x);
    x = Bring(x, shape[axis], sampling);
    if (!std::isfinite(x) || std::fabs(x) > 1e15) return sampling.outside == Outside::kZeros ? 0 : NAN;
    first[axis] = static_cast<int64_t>(sampling.taps == 1 ? std::trunc(x) : std::floor(x)) -
                  (sampling.taps == 4 ? 1 : 0);
  }
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  const Shape around(axes, sampling.taps);
  Walk walk(around, {});
  double sum = 0;
  for (int64_t i = 0, count = ElementCount(around); i < count; ++i, walk.Next()) {
    double weight = 1;
    int64_t offset = 0;
    for (size_t axis = 0; axis < axes && offset >= 0; ++axis) {
      const int64_t place = first[axis] + walk.index()[axis];
      weight *= Weight(static_cast<double>(place) - position[axis], sampling.taps);
      const int64_t element = Element(place, shape[axis], sampling);
      offset = element < 0 ? -1 : offset + element * strides[axis];
    }
    if (offset >= 0) sum += weight * plane[static_cast<size_t>(offset)];
  }
  return sum;
}

}  // namespace strop::model::reference
