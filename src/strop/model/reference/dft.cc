#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

using Complex = std::complex<double>;

// y[j] = sum over k of x[k] exp(sign 2πi jk / n): split by the smallest factor of n (Cooley and Tukey 1965),
// plain for a prime.
std::vector<Complex> Transform(const std::vector<Complex>& x, double sign) {
  const size_t n = x.size();
  if (n <= 1) return x;
  size_t parts = 2;
  while (parts < n && n % parts != 0) ++parts;
  const size_t inner = n / parts;
  std::vector<std::vector<Complex>> done;
  for (size_t p = 0; p < parts; ++p) {
    std::vector<Complex> part(inner);
    for (size_t i = 0; i < inner; ++i) part[i] = x[i * parts + p];
    done.push_back(Transform(part, sign));
  }
  std::vector<Complex> y(n);
  for (size_t j = 0; j < n; ++j) {
    for (size_t p = 0; p < parts; ++p) {
      const double turn = static_cast<double>(j * p % n) / static_cast<double>(n);
      y[j] += done[p][j % inner] * std::polar(1.0, sign * 2 * std::numbers::pi * turn);
    }
  }
  return y;
}

int64_t AxisOf(const Call& call, int64_t rank) {
  int64_t axis = call.opset < 20 ? call.node.Int("axis", 1) : -2;
  if (call.opset >= 20 && call.Has(2)) axis = call.Ints(2).at(0);
  axis = NormalAxis(call.node, axis, rank);
  if (axis == rank - 1) call.Fail("the last axis is not transformed");
  return axis;
}

// Onesided, the bins from length / 2 + 1 on are the conjugates of the first ones: left out by the transform,
// put back by its inverse, whose answer is real. The last axis holds the real and the imaginary part, or the
// real one alone.
Results Dft(const Call& call) {
  const Tensor x = Doubles(call.In(0));
  const Shape& in = x.shape();
  const auto rank = static_cast<int64_t>(in.size());
  if (rank < 2 || in.back() < 1 || in.back() > 2)
    call.Fail(fmt::format("the last axis of {} is not 1 or 2", ShapeText(in)));
  const int64_t axis = AxisOf(call, rank), parts = in.back();
  const Around around = SplitAround(in, axis);
  const bool inverse = call.node.Int("inverse", 0) != 0, onesided = call.node.Int("onesided", 0) != 0;
  const bool mirrored = inverse && onesided;
  const int64_t length = call.Has(1) ? call.Ints(1).at(0) : mirrored ? 2 * (around.size - 1) : around.size;
  if (length < 1 || length > INT32_MAX) call.Fail(fmt::format("the length is {}", length));
  const int64_t kept = onesided && !inverse ? length / 2 + 1 : length, out_parts = mirrored ? 1 : 2;
  const int64_t read = std::min(mirrored ? length / 2 + 1 : length, around.size),
                inner = around.inner / parts;
  Shape shape = in;
  shape[static_cast<size_t>(axis)] = kept;
  shape.back() = out_parts;
  const Tensor y = NewDoubles(shape);
  const double scale = inverse ? 1 / static_cast<double>(length) : 1;
  for (int64_t at = 0; at < around.outer * inner; ++at) {
    const int64_t outer = at / inner, i = at % inner;
    std::vector<Complex> row(static_cast<size_t>(length));
    for (int64_t k = 0; k < read; ++k) {
      const double* value = x.As<double>().data() + ((outer * around.size + k) * inner + i) * parts;
      row[static_cast<size_t>(k)] = {value[0], parts == 2 ? value[1] : 0};
    }
    for (int64_t k = 1; mirrored && 2 * k < length; ++k)
      row[static_cast<size_t>(length - k)] = std::conj(row[static_cast<size_t>(k)]);
    row = Transform(row, inverse ? 1 : -1);
    for (int64_t k = 0; k < kept; ++k) {
      double* value = y.As<double>().data() + ((outer * kept + k) * inner + i) * out_parts;
      value[0] = row[static_cast<size_t>(k)].real() * scale;
      if (out_parts == 2) value[1] = row[static_cast<size_t>(k)].imag() * scale;
    }
  }
  return {y.Cast(call.In(0).dtype())};
}

constexpr Operator kOperators[] = {{"DFT", 17, Dft}};

}  // namespace

std::span<const Operator> DftOperators() { return kOperators; }

}  // namespace strop::model::reference
