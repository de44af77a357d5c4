#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

// Gaussian elimination with the largest pivot of the column.
double Determinant(std::vector<double> a, size_t n) {
  double product = 1;
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t row = k + 1; row < n; ++row)
      if (std::fabs(a[row * n + k]) > std::fabs(a[pivot * n + k])) pivot = row;
    if (a[pivot * n + k] == 0) return 0;
    if (pivot != k) {
      product = -product;
      for (size_t column = 0; column < n; ++column) std::swap(a[pivot * n + column], a[k * n + column]);
    }
    product *= a[k * n + k];
    for (size_t row = k + 1; row < n; ++row) {
      const double factor = a[row * n + k] / a[k * n + k];
      for (size_t column = k; column < n; ++column) a[row * n + column] -= factor * a[k * n + column];
    }
  }
  return product;
}

Results Det(const Call& call) {
  const Tensor x = Doubles(call.In(0));
  const Shape& shape = x.shape();
  if (shape.size() < 2 || shape.back() != shape[shape.size() - 2])
    call.Fail(fmt::format("{} are no square matrices", ShapeText(shape)));
  const auto n = static_cast<size_t>(shape.back());
  const Tensor y = NewDoubles({shape.begin(), shape.end() - 2});
  size_t matrix = 0;
  for (double& value : y.As<double>()) {
    const auto elements = x.As<double>().subspan(matrix++ * n * n, n * n);
    value = Determinant({elements.begin(), elements.end()}, n);
  }
  return {y.Cast(call.In(0).dtype())};
}

constexpr Operator kOperators[] = {{"Det", 11, Det}};

}  // namespace

std::span<const Operator> DetOperators() { return kOperators; }

}  // namespace strop::model::reference
