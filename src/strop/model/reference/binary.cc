#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

// out[i] = function(a[i], b[i]) after broadcasting; A and B are what the memory holds.
template <class A, class Out, class F>
Tensor Broadcast(const Call& call, const Tensor& a, const Tensor& b, DType out, F function) {
  const Shape shape = BroadcastShapes(call.node, a.shape(), b.shape());
  Tensor result = Tensor::New(out, shape);
  const auto x = a.As<A>();
  const auto y = b.As<A>();
  Walk walk(shape, {BroadcastStrides(a.shape(), shape), BroadcastStrides(b.shape(), shape)});
  for (Out& value : result.As<Out>()) {
    value = static_cast<Out>(
        function(x[static_cast<size_t>(walk.offset(0))], y[static_cast<size_t>(walk.offset(1))]));
    walk.Next();
  }
  return result;
}

void CheckSameType(const Call& call, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype()) {
    call.Fail(fmt::format("the inputs are {} and {}, expected one type", DTypeName(a.dtype()),
                          DTypeName(b.dtype())));
  }
}

// Floats in double, integers in their own type, wrapping as two's complement does.
template <class F>
Tensor Arithmetic(const Call& call, const Tensor& a, const Tensor& b, F function) {
  CheckSameType(call, a, b);
  if (IsFloat(a.dtype())) {
    return Broadcast<double, double>(call, Doubles(a), Doubles(b), DType::kF64, function).Cast(a.dtype());
  }
  Tensor result;
  const bool integer =
      VisitInteger(a.dtype(), [&]<class T>(T) { result = Broadcast<T, T>(call, a, b, a.dtype(), function); });
  if (!integer) call.Refuse(fmt::format("the type {}", DTypeName(a.dtype())));
  return result;
}

// Unsigned 64-bit arithmetic wraps without undefined behaviour; narrowing keeps the low bits.
struct Plus {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a + b;
    else
      return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};
struct Minus {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a - b;
    else
      return static_cast<T>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  }
};
struct Times {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a * b;
    else
      return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};
struct Quotient {
  const Call& call;
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (!std::is_floating_point_v<T>) {
      if (b == 0) call.Fail("division of an integer by zero");
      if constexpr (std::is_signed_v<T>) {
        if (b == -1) return Minus()(T{0}, a);
      }
    }
    return static_cast<T>(a / b);
  }
};
// fmod = 0: the sign of the divisor (Python); 1: that of the dividend (C).
struct Remainder {
  const Call& call;
  bool c_sign;
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      const T rest = std::fmod(a, b);
      if (c_sign || std::isnan(rest)) return rest;
      if (rest == 0) return std::copysign(rest, b);
      return (rest < 0) != (b < 0) ? rest + b : rest;
    } else {
      if (b == 0) call.Fail("remainder of a division by zero");
      if constexpr (std::is_signed_v<T>) {
        if (b == -1) return 0;
      }
      const T rest = static_cast<T>(a % b);
      return !c_sign && rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
    }
  }
};
// NaN wins, as numpy.minimum and maximum have it.
struct Least {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(a)) return a;
      if (std::isnan(b)) return b;
    }
    return std::min(a, b);
  }
};
struct Greatest {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(a)) return a;
      if (std::isnan(b)) return b;
    }
    return std::max(a, b);
  }
};

template <class F>
Results Two(const Call& call) {
  return {Arithmetic(call, call.In(0), call.In(1), F())};
}

Results Div(const Call& call) { return {Arithmetic(call, call.In(0), call.In(1), Quotient{call})}; }

Results Mod(const Call& call) {
  const bool c_sign = call.node.Int("fmod", 0) != 0;
  return {Arithmetic(call, call.In(0), call.In(1), Remainder{call, c_sign})};
}

// The exponent may have a type of its own; the result has the base's.
Results Pow(const Call& call) {
  const Tensor& base = call.In(0);
  const Tensor power = Broadcast<double, double>(call, Doubles(base), Doubles(call.In(1)), DType::kF64,
                                                 [](double a, double b) { return std::pow(a, b); });
  return {power.Cast(base.dtype())};
}

Results PRelu(const Call& call) {
  return {Arithmetic(call, call.In(0), call.In(1),
                     []<class T>(T x, T slope) { return x < T{0} ? Times()(x, slope) : x; })};
}

template <class F>
Results Many(const Call& call) {
  Tensor result = call.In(0);
  for (size_t i = 1; i < call.inputs.size(); ++i) result = Arithmetic(call, result, call.In(i), F());
  return {result};
}

// Kept in double until the end, so that float16 rounds once.
Tensor SumInDouble(const Call& call) {
  Tensor sum = Doubles(call.In(0));
  for (size_t i = 1; i < call.inputs.size(); ++i) sum = Arithmetic(call, sum, Doubles(call.In(i)), Plus());
  return sum;
}

Results Sum(const Call& call) { return {SumInDouble(call).Cast(call.In(0).dtype())}; }

Results Mean(const Call& call) {
  Tensor mean = SumInDouble(call).Clone();
  for (double& value : mean.As<double>()) value /= static_cast<double>(call.inputs.size());
  return {mean.Cast(call.In(0).dtype())};
}

template <class F>
Results Compare(const Call& call) {
  const Tensor& a = call.In(0);
  const Tensor& b = call.In(1);
  CheckSameType(call, a, b);
  if (IsFloat(a.dtype())) return {Broadcast<double, bool>(call, Doubles(a), Doubles(b), DType::kBool, F())};
  if (a.dtype() == DType::kBool) return {Broadcast<bool, bool>(call, a, b, DType::kBool, F())};
  Tensor result;
  VisitInteger(a.dtype(), [&]<class T>(T) { result = Broadcast<T, bool>(call, a, b, DType::kBool, F()); });
  return {result};
}

template <class F>
Results Logic(const Call& call) {
  return {Broadcast<bool, bool>(call, call.In(0), call.In(1), DType::kBool, F())};
}

Results Where(const Call& call) {
  const Tensor& condition = call.In(0);
  const Tensor& a = call.In(1);
  const Tensor& b = call.In(2);
  CheckSameType(call, a, b);
  const Shape shape =
      BroadcastShapes(call.node, condition.shape(), BroadcastShapes(call.node, a.shape(), b.shape()));
  const Tensor x = CopyWalk(a, shape, BroadcastStrides(a.shape(), shape));
  const Tensor y = CopyWalk(b, shape, BroadcastStrides(b.shape(), shape));
  const Tensor pick = CopyWalk(condition, shape, BroadcastStrides(condition.shape(), shape));
  Tensor result = y.Clone();
  const size_t element = SizeOf(a.dtype());
  const auto chosen = pick.As<bool>();
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (!chosen[i]) continue;
    std::copy_n(static_cast<const char*>(x.data()) + i * element, element,
                static_cast<char*>(result.data()) + i * element);
  }
  return {result};
}

// Broadcasting without attributes came with opset 7, that of Min, Max, Sum and Mean with 8.
constexpr Operator kOperators[] = {
    {"Add", 7, Two<Plus>},
    {"And", 7, Logic<std::logical_and<>>},
    {"Div", 7, Div},
    {"Equal", 7, Compare<std::equal_to<>>},
    {"Greater", 7, Compare<std::greater<>>},
    {"GreaterOrEqual", 12, Compare<std::greater_equal<>>},
    {"Less", 7, Compare<std::less<>>},
    {"LessOrEqual", 12, Compare<std::less_equal<>>},
    {"Max", 6, Many<Greatest>},
    {"Mean", 6, Mean},
    {"Min", 6, Many<Least>},
    {"Mod", 10, Mod},
    {"Mul", 7, Two<Times>},
    {"Or", 7, Logic<std::logical_or<>>},
    {"PRelu", 7, PRelu},
    {"Pow", 7, Pow},
    {"Sub", 7, Two<Minus>},
    {"Sum", 6, Sum},
    {"Where", 9, Where},
    {"Xor", 7, Logic<std::not_equal_to<>>},
};

}  // namespace

std::span<const Operator> BinaryOperators() { return kOperators; }

}  // namespace strop::model::reference
