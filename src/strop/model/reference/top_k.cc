#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

// Among equals the lower index comes first. NaN counts as the largest, so that the order is total.
template <class T>
bool Before(T a, T b, bool largest) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return largest ? !std::isnan(b) : !std::isnan(a);
  }
  return largest ? a > b : a < b;
}

template <class T>
void Select(const Call& call, const Tensor& x, const Around& around, const Tensor& values,
            const Tensor& indices) {
  const bool largest = call.node.Int("largest", 1) != 0;
  const int64_t k = values.size() == 0 ? 0 : values.size() / (around.outer * around.inner);
  std::vector<int64_t> order(static_cast<size_t>(around.size));
  for (int64_t outer = 0; outer < around.outer; ++outer) {
    for (int64_t inner = 0; inner < around.inner; ++inner) {
      const auto at = [&](int64_t i) {
        return x.As<T>()[static_cast<size_t>((outer * around.size + i) * around.inner + inner)];
      };
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
        if (Before(at(a), at(b), largest)) return true;
        return !Before(at(b), at(a), largest) && a < b;
      });
      for (int64_t i = 0; i < k; ++i) {
        const auto to = static_cast<size_t>((outer * k + i) * around.inner + inner);
        values.As<T>()[to] = at(order[static_cast<size_t>(i)]);
        indices.As<int64_t>()[to] = order[static_cast<size_t>(i)];
      }
    }
  }
}

// sorted = 0 leaves the order open; it is the sorted one here too.
Results TopK(const Call& call) {
  const Tensor& x = call.In(0);
  const int64_t axis =
      NormalAxis(call.node, call.node.Int("axis", -1), static_cast<int64_t>(x.shape().size()));
  const Around around = SplitAround(x.shape(), axis);
  const int64_t k = call.opset < 10 ? call.node.Int("k", -1) : call.Ints(1).at(0);
  if (k < 0 || k > around.size) call.Fail(fmt::format("k is {} of {} elements", k, around.size));
  Shape shape = x.shape();
  shape[static_cast<size_t>(axis)] = k;
  const Tensor indices = Tensor::New(DType::kI64, shape);
  if (IsFloat(x.dtype())) {
    const Tensor values = NewDoubles(shape);
    Select<double>(call, Doubles(x), around, values, indices);
    return {values.Cast(x.dtype()), indices};
  }
  const Tensor values = Tensor::New(x.dtype(), shape);
  if (!VisitInteger(x.dtype(), [&]<class T>(T) { Select<T>(call, x, around, values, indices); }))
    call.Refuse(fmt::format("the type {}", DTypeName(x.dtype())));
  return {values, indices};
}

constexpr Operator kOperators[] = {{"TopK", 1, TopK}};

}  // namespace

std::span<const Operator> TopKOperators() { return kOperators; }

}  // namespace strop::model::reference
