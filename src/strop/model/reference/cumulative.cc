#include <functional>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

// y[i] = x[0] ∘ … ∘ x[i] along the axis; exclusive: without x[i]; reverse: from the other end.
template <class T, class F>
void Accumulate(const Call& call, const Tensor& x, const Tensor& y, const Around& around, T start, F fold) {
  const bool exclusive = call.node.Int("exclusive", 0) != 0, reverse = call.node.Int("reverse", 0) != 0;
  const auto in = x.As<T>(), out = y.As<T>();
  for (int64_t outer = 0; outer < around.outer; ++outer) {
    for (int64_t inner = 0; inner < around.inner; ++inner) {
      T sum = start;
      for (int64_t i = 0; i < around.size; ++i) {
        const int64_t place = reverse ? around.size - 1 - i : i;
        const auto at = static_cast<size_t>((outer * around.size + place) * around.inner + inner);
        const T next = static_cast<T>(fold(sum, in[at]));
        out[at] = exclusive ? sum : next;
        sum = next;
      }
    }
  }
}

template <class F, int start>
Results Cumulative(const Call& call) {
  const Tensor& x = call.In(0);
  const std::vector<int64_t> axis = call.Ints(1);
  if (axis.size() != 1) call.Fail("the axis is one number");
  const Around around =
      SplitAround(x.shape(), NormalAxis(call.node, axis[0], static_cast<int64_t>(x.shape().size())));
  if (IsFloat(x.dtype())) {
    const Tensor y = NewDoubles(x.shape());
    Accumulate<double>(call, Doubles(x), y, around, start, F());
    return {y.Cast(x.dtype())};
  }
  const Tensor y = Tensor::New(x.dtype(), x.shape());
  // Unsigned arithmetic wraps without undefined behaviour.
  const bool integer = VisitInteger(x.dtype(), [&]<class T>(T) {
    Accumulate<T>(call, x, y, around, static_cast<T>(start),
                  [](T a, T b) { return F()(static_cast<uint64_t>(a), static_cast<uint64_t>(b)); });
  });
  if (!integer) call.Refuse(fmt::format("the type {}", DTypeName(x.dtype())));
  return {y};
}

constexpr Operator kOperators[] = {{"CumProd", 26, Cumulative<std::multiplies<>, 1>},
                                   {"CumSum", 11, Cumulative<std::plus<>, 0>}};

}  // namespace

std::span<const Operator> CumulativeOperators() { return kOperators; }

}  // namespace strop::model::reference
