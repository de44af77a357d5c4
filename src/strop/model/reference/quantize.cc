#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/onnx_types.h"
#include "strop/model/reference/conv.h"
#include "strop/model/reference/matmul.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

// Scale or zero point spread over x: one value, one an index of `axis`, or one a block along it (opset 21).
Tensor Spread(const Call& call, const Tensor& parameter, const Shape& x, int64_t axis, int64_t block) {
  const Tensor values = Doubles(parameter);
  const Shape& shape = values.shape();
  if (values.size() == 1) return CopyWalk(values, x, std::vector<int64_t>(x.size(), 0));
  const auto refuse = [&] {
    call.Fail(fmt::format("scale and zero point {} do not suit {} along axis {}", ShapeText(shape),
                          ShapeText(x), axis));
  };
  axis = NormalAxis(call.node, axis, static_cast<int64_t>(x.size()));
  const auto at = static_cast<size_t>(axis);
  if (block == 0) {
    if (shape.size() != 1 || shape[0] != x[at]) refuse();
    std::vector<int64_t> strides(x.size(), 0);
    strides[at] = 1;
    return CopyWalk(values, x, strides);
  }
  bool fits = shape.size() == x.size() && block > 0;
  for (size_t i = 0; fits && i < x.size(); ++i)
    fits = shape[i] == (i == at ? (x[i] + block - 1) / block : x[i]);
  if (!fits) refuse();
  std::vector<int64_t> strides = RowMajorStrides(shape);
  const int64_t step = strides[at];
  strides[at] = 0;
  Tensor spread = NewDoubles(x);
  Walk walk(x, {strides});
  for (double& value : spread.As<double>()) {
    value = values.As<double>()[static_cast<size_t>(walk.offset(0) + walk.index()[at] / block * step)];
    walk.Next();
  }
  return spread;
}

// One float64 for each: round half to even, then clamp to the integer type.
Tensor Saturate(const Call& call, const Tensor& values, DType dtype) {
  Tensor y = Tensor::New(dtype, values.shape());
  const bool integer = VisitInteger(dtype, [&]<class T>(T) {
    const auto in = values.As<double>();
    const auto out = y.As<T>();
    constexpr auto kLow = static_cast<double>(std::numeric_limits<T>::min());
    constexpr auto kHigh = static_cast<double>(std::numeric_limits<T>::max());
    for (size_t i = 0; i < in.size(); ++i)
      out[i] = static_cast<T>(std::isnan(in[i]) ? 0 : std::clamp(in[i], kLow, kHigh));
  });
  if (!integer || SizeOf(dtype) > 4) call.Refuse(fmt::format("quantizing to {}", DTypeName(dtype)));
  return y;
}

// round(x / scale) + zero_point. The quotient is rounded to x's type first, as the specification divides in
// it.
Tensor Quantize(const Call& call, const Tensor& x, const Tensor& scale, const Tensor& zero_point,
                DType dtype) {
  Tensor quotient = Doubles(x).Clone();
  const auto values = quotient.As<double>();
  for (size_t i = 0; i < values.size(); ++i) values[i] /= scale.As<double>()[i];
  if (IsFloat(x.dtype())) quotient = Doubles(quotient.Cast(x.dtype())).Clone();
  const auto rounded = quotient.As<double>();
  for (size_t i = 0; i < rounded.size(); ++i)
    rounded[i] = std::nearbyint(rounded[i]) + zero_point.As<double>()[i];
  return Saturate(call, quotient, dtype);
}

Tensor Zeros(const Shape& shape) {
  Tensor zeros = NewDoubles(shape);
  std::ranges::fill(zeros.As<double>(), 0.0);
  return zeros;
}

Results QuantizeLinear(const Call& call) {
  const Tensor& x = call.In(0);
  const int64_t axis = call.node.Int("axis", 1), block = call.node.Int("block_size", 0);
  const int64_t output_type = call.node.Int("output_dtype", 0);
  std::optional<DType> dtype = DType::kU8;
  if (output_type != 0) dtype = FromOnnxType(output_type);
  if (call.Has(2)) dtype = call.In(2).dtype();
  if (!dtype) call.Refuse(fmt::format("quantizing to {}", OnnxTypeName(output_type)));
  const Tensor scale = Spread(call, call.In(1), x.shape(), axis, block);
  const Tensor zero = call.Has(2) ? Spread(call, call.In(2), x.shape(), axis, block) : Zeros(x.shape());
  return {Quantize(call, x, scale, zero, *dtype)};
}

Results DequantizeLinear(const Call& call) {
  const Tensor& x = call.In(0);
  const int64_t axis = call.node.Int("axis", 1), block = call.node.Int("block_size", 0);
  const Tensor scale = Spread(call, call.In(1), x.shape(), axis, block);
  const Tensor y = Doubles(x).Clone();
  const auto out = y.As<double>();
  if (call.Has(2)) {
    const Tensor zero = Spread(call, call.In(2), x.shape(), axis, block);
    for (size_t i = 0; i < out.size(); ++i) out[i] -= zero.As<double>()[i];
  }
  for (size_t i = 0; i < out.size(); ++i) out[i] *= scale.As<double>()[i];
  std::optional<DType> dtype = call.In(1).dtype();
  if (const int64_t wanted = call.node.Int("output_dtype", 0)) dtype = FromOnnxType(wanted);
  if (!dtype) call.Refuse("an output type that no tensor here has");
  return {y.Cast(*dtype)};
}

// float32 arithmetic throughout, as the specification's example does it.
Results DynamicQuantizeLinear(const Call& call) {
  const Tensor& x = call.In(0);
  float low = 0, high = 0;
  for (const float value : x.As<float>()) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const float scale = (high - low) / 255;
  const float zero = scale == 0 ? 0 : std::nearbyint(std::clamp(-low / scale, 0.0f, 255.0f));
  const auto zero_point = static_cast<uint8_t>(zero);
  const Tensor scale_tensor = Tensor::From<float>({}, std::span(&scale, 1));
  const Tensor zero_tensor = Tensor::From<uint8_t>({}, std::span(&zero_point, 1));
  const float divisor = scale == 0 ? 1 : scale;
  const Tensor wide = Tensor::From<float>({}, std::span(&divisor, 1));
  const Tensor y = Quantize(call, x, Spread(call, wide, x.shape(), 0, 0),
                            Spread(call, zero_tensor, x.shape(), 0, 0), DType::kU8);
  return {y, scale_tensor, zero_tensor};
}

// x minus its zero point (absent: 0), exact in double.
Tensor Centered(const Call& call, size_t input, size_t zero_point, int64_t axis) {
  const Tensor y = Doubles(call.In(input)).Clone();
  if (!call.Has(zero_point)) return y;
  const Tensor zero = Spread(call, call.In(zero_point), y.shape(), axis, 0);
  const auto out = y.As<double>();
  for (size_t i = 0; i < out.size(); ++i) out[i] -= zero.As<double>()[i];
  return y;
}

Results ConvInteger(const Call& call) {
  return {Convolve(call, Centered(call, 0, 2, 1), Centered(call, 1, 3, 0), nullptr).Cast(DType::kI32)};
}

// The zero point of A is one a row (axis -2), that of B one a column (axis -1).
Results MatMulInteger(const Call& call) {
  const int64_t row_axis = call.In(0).shape().size() > 1 ? -2 : -1;
  return {MatrixProduct(call, Centered(call, 0, 2, row_axis), Centered(call, 1, 3, -1)).Cast(DType::kI32)};
}

// accumulators * (scale_x * scale_w / scale_y) + zero_y, the scales multiplied in float32.
Tensor Requantize(const Call& call, const Tensor& sums, size_t x_scale, size_t w_scale, size_t y_scale,
                  size_t y_zero, int64_t w_axis) {
  const Tensor sx = Spread(call, call.In(x_scale), sums.shape(), 0, 0);
  const Tensor sw = Spread(call, call.In(w_scale), sums.shape(), w_axis, 0);
  const Tensor sy = Spread(call, call.In(y_scale), sums.shape(), 0, 0);
  const Tensor zero = Spread(call, call.In(y_zero), sums.shape(), 0, 0);
  const Tensor y = sums.Clone();
  const auto out = y.As<double>();
  for (size_t i = 0; i < out.size(); ++i) {
    const auto scale =
        static_cast<float>(static_cast<float>(sx.As<double>()[i] * sw.As<double>()[i]) / sy.As<double>()[i]);
    out[i] = std::nearbyint(out[i] * scale) + zero.As<double>()[i];
  }
  return Saturate(call, y, call.In(y_zero).dtype());
}

Results QLinearConv(const Call& call) {
  const Tensor bias = call.Has(8) ? Doubles(call.In(8)) : Tensor();
  const Tensor sums =
      Convolve(call, Centered(call, 0, 2, 1), Centered(call, 3, 5, 0), bias ? &bias : nullptr);
  return {Requantize(call, sums, 1, 4, 6, 7, 1)};
}

Results QLinearMatMul(const Call& call) {
  for (const size_t parameter : {1, 2, 4, 5, 6, 7}) {
    if (call.In(parameter).size() != 1) call.Refuse("scales and zero points that are not scalars");
  }
  const Tensor sums = MatrixProduct(call, Centered(call, 0, 2, -1), Centered(call, 3, 5, -1));
  return {Requantize(call, sums, 1, 4, 6, 7, -1)};
}

constexpr Operator kOperators[] = {
    {"ConvInteger", 10, ConvInteger},
    {"DequantizeLinear", 10, DequantizeLinear},
    {"DynamicQuantizeLinear", 11, DynamicQuantizeLinear},
    {"MatMulInteger", 10, MatMulInteger},
    {"QLinearConv", 10, QLinearConv},
    {"QLinearMatMul", 10, QLinearMatMul},
    {"QuantizeLinear", 10, QuantizeLinear},
};

}  // namespace

std::span<const Operator> QuantizeOperators() { return kOperators; }

}  // namespace strop::model::reference
