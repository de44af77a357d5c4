#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

template <class F>
Results Map(const Call& call, F function) {
  const Tensor& x = call.In(0);
  if (!IsFloat(x.dtype())) call.Refuse(fmt::format("the type {}", DTypeName(x.dtype())));
  Tensor y = Doubles(x).Clone();
  for (double& value : y.As<double>()) value = function(value);
  return {y.Cast(x.dtype())};
}

template <double (*function)(double)>
Results MapFloat(const Call& call) {
  return Map(call, function);
}

// For operators that integers have too; function(T) -> T.
template <class F>
Results MapNumber(const Call& call, F function) {
  const Tensor& x = call.In(0);
  if (IsFloat(x.dtype())) return Map(call, function);
  Tensor y = x.Clone();
  const bool integer = VisitInteger(x.dtype(), [&]<class T>(T) {
    for (T& value : y.As<T>()) value = static_cast<T>(function(value));
  });
  if (!integer) call.Refuse(fmt::format("the type {}", DTypeName(x.dtype())));
  return {y};
}

double SigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }
double SoftplusOf(double x) { return std::log1p(std::exp(-std::fabs(x))) + std::max(x, 0.0); }
double SoftsignOf(double x) { return x / (1 + std::fabs(x)); }
double ReciprocalOf(double x) { return 1 / x; }
double MishOf(double x) { return x * std::tanh(SoftplusOf(x)); }
double HardSwishOf(double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); }

// Both halves away from the nearest even integer; the default rounding mode.
double RoundOf(double x) { return std::nearbyint(x); }

Results Relu(const Call& call) {
  return MapNumber(call, []<class T>(T x) { return x < T{0} ? T{0} : x; });
}

Results Abs(const Call& call) {
  return MapNumber(call, []<class T>(T x) {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fabs(x);
    } else {
      return static_cast<T>(x < T{0} ? T{0} - static_cast<std::make_unsigned_t<T>>(x) : x);
    }
  });
}

Results Neg(const Call& call) {
  return MapNumber(call, []<class T>(T x) {
    if constexpr (std::is_floating_point_v<T>) {
      return -x;
    } else {
      return static_cast<T>(std::make_unsigned_t<T>{0} - static_cast<std::make_unsigned_t<T>>(x));
    }
  });
}

Results Sign(const Call& call) {
  return MapNumber(call, []<class T>(T x) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(x)) return x;
    }
    return static_cast<T>(x > T{0} ? 1 : (x < T{0} ? -1 : 0));
  });
}

Results LeakyRelu(const Call& call) {
  const double alpha = call.node.Float("alpha", 0.01f);
  return Map(call, [=](double x) { return x < 0 ? alpha * x : x; });
}

Results Elu(const Call& call) {
  const double alpha = call.node.Float("alpha", 1.0f);
  return Map(call, [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; });
}

Results Celu(const Call& call) {
  const double alpha = call.node.Float("alpha", 1.0f);
  return Map(call, [=](double x) { return std::max(0.0, x) + std::min(0.0, alpha * std::expm1(x / alpha)); });
}

Results Selu(const Call& call) {
  const double alpha = call.node.Float("alpha", 1.67326319217681884765625f);
  const double gamma = call.node.Float("gamma", 1.05070102214813232421875f);
  return Map(call, [=](double x) { return gamma * (x > 0 ? x : alpha * std::expm1(x)); });
}

Results HardSigmoid(const Call& call) {
  const double alpha = call.node.Float("alpha", 0.2f);
  const double beta = call.node.Float("beta", 0.5f);
  return Map(call, [=](double x) { return std::clamp(alpha * x + beta, 0.0, 1.0); });
}

Results ThresholdedRelu(const Call& call) {
  const double alpha = call.node.Float("alpha", 1.0f);
  return Map(call, [=](double x) { return x > alpha ? x : 0.0; });
}

Results Gelu(const Call& call) {
  if (call.node.Text("approximate", "none") == "tanh") {
    const double scale = std::sqrt(2 / std::numbers::pi);
    return Map(call, [=](double x) { return 0.5 * x * (1 + std::tanh(scale * (x + 0.044715 * x * x * x))); });
  }
  return Map(call, [](double x) { return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2)); });
}

// Limits are attributes before opset 11, inputs since; either may be absent.
Results Clip(const Call& call) {
  const Tensor& x = call.In(0);
  const bool attributes = call.opset < 11;
  const Tensor* low = attributes ? nullptr : call.Optional(1);
  const Tensor* high = attributes ? nullptr : call.Optional(2);
  for (const Tensor* limit : {low, high}) {
    if (limit && (limit->size() != 1 || limit->dtype() != x.dtype()))
      call.Fail("min and max are scalars of x's type");
  }
  if (IsFloat(x.dtype())) {
    double floor = attributes ? call.node.Float("min", -INFINITY) : -INFINITY;
    double ceiling = attributes ? call.node.Float("max", INFINITY) : INFINITY;
    if (low) floor = Doubles(*low).As<double>()[0];
    if (high) ceiling = Doubles(*high).As<double>()[0];
    return Map(call, [=](double v) { return std::isnan(v) ? v : std::min(std::max(v, floor), ceiling); });
  }
  return MapNumber(call, [&]<class T>(T v) -> T {
    if constexpr (std::is_floating_point_v<T>) {
      return v;
    } else {
      if (low) v = std::max(v, low->As<T>()[0]);
      if (high) v = std::min(v, high->As<T>()[0]);
      return v;
    }
  });
}

Results Not(const Call& call) {
  const Tensor& x = call.In(0);
  Tensor y = Tensor::New(DType::kBool, x.shape());
  const auto in = x.As<bool>();
  std::transform(in.begin(), in.end(), y.As<bool>().begin(), [](bool value) { return !value; });
  return {y};
}

template <class F>
Results Test(const Call& call, F test) {
  const Tensor x = Doubles(call.In(0));
  Tensor y = Tensor::New(DType::kBool, x.shape());
  const auto in = x.As<double>();
  std::transform(in.begin(), in.end(), y.As<bool>().begin(), test);
  return {y};
}

Results IsNaN(const Call& call) {
  return Test(call, [](double x) { return std::isnan(x); });
}

Results IsInf(const Call& call) {
  const bool positive = call.node.Int("detect_positive", 1) != 0;
  const bool negative = call.node.Int("detect_negative", 1) != 0;
  return Test(call, [=](double x) { return std::isinf(x) && (x > 0 ? positive : negative); });
}

constexpr Operator kOperators[] = {
    {"Abs", 6, Abs},
    {"Acos", 7, MapFloat<std::acos>},
    {"Asin", 7, MapFloat<std::asin>},
    {"Atan", 7, MapFloat<std::atan>},
    {"Ceil", 6, MapFloat<std::ceil>},
    {"Celu", 12, Celu},
    {"Clip", 6, Clip},
    {"Cos", 7, MapFloat<std::cos>},
    {"Cosh", 9, MapFloat<std::cosh>},
    {"Elu", 6, Elu},
    {"Erf", 9, MapFloat<std::erf>},
    {"Exp", 6, MapFloat<std::exp>},
    {"Floor", 6, MapFloat<std::floor>},
    {"Gelu", 20, Gelu},
    {"HardSigmoid", 6, HardSigmoid},
    {"HardSwish", 14, MapFloat<HardSwishOf>},
    {"IsInf", 10, IsInf},
    {"IsNaN", 9, IsNaN},
    {"LeakyRelu", 6, LeakyRelu},
    {"Log", 6, MapFloat<std::log>},
    {"Mish", 18, MapFloat<MishOf>},
    {"Neg", 6, Neg},
    {"Not", 1, Not},
    {"Reciprocal", 6, MapFloat<ReciprocalOf>},
    {"Relu", 6, Relu},
    {"Round", 11, MapFloat<RoundOf>},
    {"Selu", 6, Selu},
    {"Sigmoid", 6, MapFloat<SigmoidOf>},
    {"Sign", 9, Sign},
    {"Sin", 7, MapFloat<std::sin>},
    {"Sinh", 9, MapFloat<std::sinh>},
    {"Softplus", 1, MapFloat<SoftplusOf>},
    {"Softsign", 1, MapFloat<SoftsignOf>},
    {"Sqrt", 6, MapFloat<std::sqrt>},
    {"Tan", 7, MapFloat<std::tan>},
    {"Tanh", 6, MapFloat<std::tanh>},
    {"ThresholdedRelu", 10, ThresholdedRelu},
};

}  // namespace

std::span<const Operator> UnaryOperators() { return kOperators; }

}  // namespace strop::model::reference
