#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

struct Axes {
  std::vector<bool> reduced;  // one an axis
  Shape kept;                 // with 1 for the reduced axes
  Shape shape;                // of the result
  int64_t count = 1;          // elements behind one of the result
};

Axes AxesOf(const Call& call, const Shape& in, std::vector<int64_t> axes, bool all_when_empty) {
  const auto rank = static_cast<int64_t>(in.size());
  axes = NormalAxes(call.node, std::move(axes), rank);
  const bool all = axes.empty() && all_when_empty;
  const bool keep = call.node.Int("keepdims", 1) != 0;
  Axes result;
  for (int64_t axis = 0; axis < rank; ++axis) {
    const int64_t size = in[static_cast<size_t>(axis)];
    const bool reduced = all || std::binary_search(axes.begin(), axes.end(), axis);
    result.reduced.push_back(reduced);
    result.kept.push_back(reduced ? 1 : size);
    if (!reduced || keep) result.shape.push_back(result.kept.back());
    if (reduced) result.count *= size;
  }
  return result;
}

struct Same {
  template <class A>
  static A End(A sum, int64_t) {
    return sum;
  }
};
struct Extreme : Same {};

// Accumulates in Acc: double for floats, int64 for integers.
template <class F, class Acc, class T>
Tensor Fold(const Tensor& x, const Axes& axes, DType out) {
  const auto in = x.As<T>();
  std::vector<Acc> sums(static_cast<size_t>(ElementCount(axes.kept)), F::template kStart<Acc>);
  std::vector<int64_t> strides = RowMajorStrides(axes.kept);
  for (size_t axis = 0; axis < strides.size(); ++axis) strides[axis] = axes.reduced[axis] ? 0 : strides[axis];
  Walk walk(x.shape(), {strides});
  for (size_t i = 0; i < in.size(); ++i, walk.Next()) {
    Acc& sum = sums[static_cast<size_t>(walk.offset(0))];
    sum = F::Step(sum, static_cast<Acc>(in[i]));
  }
  Tensor y = Tensor::New(out, axes.shape);
  const auto result = y.As<T>();
  for (size_t i = 0; i < sums.size(); ++i) {
    Acc value = F::End(sums[i], axes.count);
    // The extreme of nothing is the extreme of the type.
    if constexpr (std::is_base_of_v<Extreme, F> && sizeof(T) < sizeof(Acc)) {
      value = std::clamp<Acc>(value, std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max());
    }
    result[i] = static_cast<T>(value);
  }
  return y;
}

struct SumFold : Same {
  template <class A>
  static constexpr A kStart = 0;
  template <class A>
  static A Step(A sum, A x) {
    return sum + x;
  }
};
struct MeanFold : SumFold {
  template <class A>
  static A End(A sum, int64_t count) {
    return count == 0 ? sum : sum / static_cast<A>(count);
  }
};
struct ProdFold : Same {
  template <class A>
  static constexpr A kStart = 1;
  template <class A>
  static A Step(A sum, A x) {
    return sum * x;
  }
};
struct MaxFold : Extreme {
  template <class A>
  static constexpr A kStart = std::numeric_limits<A>::has_infinity ? -std::numeric_limits<A>::infinity()
                                                                   : std::numeric_limits<A>::min();
  template <class A>
  static A Step(A sum, A x) {
    return x > sum || x != x ? x : sum;
  }
};
struct MinFold : Extreme {
  template <class A>
  static constexpr A kStart = std::numeric_limits<A>::has_infinity ? std::numeric_limits<A>::infinity()
                                                                   : std::numeric_limits<A>::max();
  template <class A>
  static A Step(A sum, A x) {
    return x < sum || x != x ? x : sum;
  }
};
struct L1Fold : SumFold {
  template <class A>
  static A Step(A sum, A x) {
    return sum + (x < 0 ? -x : x);
  }
};
struct SquareFold : SumFold {
  template <class A>
  static A Step(A sum, A x) {
    return sum + x * x;
  }
};
struct L2Fold : SquareFold {
  template <class A>
  static A End(A sum, int64_t) {
    return static_cast<A>(std::sqrt(static_cast<double>(sum)));
  }
};
struct LogSumFold : SumFold {
  template <class A>
  static A End(A sum, int64_t) {
    return static_cast<A>(std::log(static_cast<double>(sum)));
  }
};
struct LogSumExpFold : SumFold {
  template <class A>
  static A Step(A sum, A x) {
    return sum + static_cast<A>(std::exp(static_cast<double>(x)));
  }
  template <class A>
  static A End(A sum, int64_t) {
    return static_cast<A>(std::log(static_cast<double>(sum)));
  }
};

template <class F, int64_t axes_since = 18>
Results Reduce(const Call& call) {
  // Booleans have a largest and a smallest, which are those of 0 and 1.
  const bool boolean = call.In(0).dtype() == DType::kBool && std::is_base_of_v<Extreme, F>;
  const Tensor x = boolean ? call.In(0).Cast(DType::kU8) : call.In(0);
  const bool noop = call.node.Int("noop_with_empty_axes", 0) != 0;
  const Axes axes = AxesOf(call, x.shape(), call.IntsSince(axes_since, "axes", 1), !noop);
  if (IsFloat(x.dtype())) return {Fold<F, double, double>(Doubles(x), axes, DType::kF64).Cast(x.dtype())};
  Tensor y;
  if (!VisitInteger(x.dtype(), [&]<class T>(T) { y = Fold<F, int64_t, T>(x, axes, x.dtype()); })) {
    call.Refuse(fmt::format("the type {}", DTypeName(x.dtype())));
  }
  return {boolean ? y.Cast(DType::kBool) : y};
}

template <class T, class Better>
Tensor ArgOf(const Call& call, const Tensor& x, Better better) {
  const int64_t axis =
      NormalAxis(call.node, call.node.Int("axis", 0), static_cast<int64_t>(x.shape().size()));
  const bool last = call.node.Int("select_last_index", 0) != 0;
  const Around around = SplitAround(x.shape(), axis);
  if (around.size == 0) call.Fail(fmt::format("axis {} is empty", axis));
  Tensor y = Tensor::New(DType::kI64, AxesOf(call, x.shape(), {axis}, false).shape);
  const auto in = x.As<T>();
  auto* out = static_cast<int64_t*>(y.data());
  for (int64_t outer = 0; outer < around.outer; ++outer) {
    for (int64_t inner = 0; inner < around.inner; ++inner) {
      const auto at = [&](int64_t i) {
        return in[static_cast<size_t>((outer * around.size + i) * around.inner + inner)];
      };
      int64_t best = 0;
      for (int64_t i = 1; i < around.size; ++i) {
        if (better(at(i), at(best)) || (last && at(i) == at(best))) best = i;
      }
      *out++ = best;
    }
  }
  return y;
}

template <class Better>
Results Arg(const Call& call) {
  const Tensor& x = call.In(0);
  if (IsFloat(x.dtype())) return {ArgOf<double>(call, Doubles(x), Better())};
  Tensor y;
  if (!VisitInteger(x.dtype(), [&]<class T>(T) { y = ArgOf<T>(call, x, Better()); })) {
    call.Refuse(fmt::format("the type {}", DTypeName(x.dtype())));
  }
  return {y};
}

constexpr Operator kOperators[] = {
    {"ArgMax", 1, Arg<std::greater<>>},      {"ArgMin", 1, Arg<std::less<>>},
    {"ReduceL1", 1, Reduce<L1Fold>},         {"ReduceL2", 1, Reduce<L2Fold>},
    {"ReduceLogSum", 1, Reduce<LogSumFold>}, {"ReduceLogSumExp", 1, Reduce<LogSumExpFold>},
    {"ReduceMax", 1, Reduce<MaxFold>},       {"ReduceMean", 1, Reduce<MeanFold>},
    {"ReduceMin", 1, Reduce<MinFold>},       {"ReduceProd", 1, Reduce<ProdFold>},
    {"ReduceSum", 1, Reduce<SumFold, 13>},   {"ReduceSumSquare", 1, Reduce<SquareFold>},
};

}  // namespace

std::span<const Operator> ReduceOperators() { return kOperators; }

}  // namespace strop::model::reference
