#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

DType FloatType(const Call& call) {
  const DType dtype = call.In(0).dtype();
  if (!IsFloat(dtype)) call.Refuse(fmt::format("the type {}", DTypeName(dtype)));
  return dtype;
}

// A vector input of one value a channel, in double.
Tensor PerChannel(const Call& call, size_t input, int64_t channels) {
  const Tensor values = Doubles(call.In(input));
  if (values.size() != channels) {
    call.Fail(fmt::format("the input at position {} has {} elements, expected one a channel: {}", input,
                          values.size(), channels));
  }
  return values;
}

Results BatchNormalization(const Call& call) {
  const DType dtype = FloatType(call);
  if (call.node.Int("training_mode", 0) != 0) call.Refuse("training mode");
  if (call.opset < 9 && call.node.Int("spatial", 1) == 0) call.Refuse("spatial = 0");
  const Shape& shape = call.In(0).shape();
  const int64_t channels = shape.size() < 2 ? 1 : shape[1];
  const Tensor scale = PerChannel(call, 1, channels), bias = PerChannel(call, 2, channels);
  const Tensor mean = PerChannel(call, 3, channels), variance = PerChannel(call, 4, channels);
  const double epsilon = call.node.Float("epsilon", 1e-5f);
  const auto area = static_cast<size_t>(shape.size() < 2 ? 1 : Product(shape, 2, shape.size()));
  const Tensor y = Doubles(call.In(0)).Clone();
  const auto out = y.As<double>();
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t c = i / area % static_cast<size_t>(channels);
    out[i] = (out[i] - mean.As<double>()[c]) / std::sqrt(variance.As<double>()[c] + epsilon) *
                 scale.As<double>()[c] +
             bias.As<double>()[c];
  }
  return {y.Cast(dtype)};
}

struct Moments {
  double mean, deviation;  // deviation = sqrt(variance + epsilon)
};

// Shifts and scales the row to mean 0 and variance 1 (biased, as all of ONNX's normalizations).
Moments Standardize(std::span<double> row, double epsilon) {
  double sum = 0, squares = 0;
  for (const double value : row) sum += value;
  const double mean = sum / static_cast<double>(row.size());
  for (const double value : row) squares += (value - mean) * (value - mean);
  const double deviation = std::sqrt(squares / static_cast<double>(row.size()) + epsilon);
  for (double& value : row) value = (value - mean) / deviation;
  return {mean, deviation};
}

Results InstanceNormalization(const Call& call) {
  const DType dtype = FloatType(call);
  const Shape& shape = call.In(0).shape();
  if (shape.size() < 3) call.Fail(fmt::format("the input {} has no spatial axes", ShapeText(shape)));
  const Tensor scale = PerChannel(call, 1, shape[1]), bias = PerChannel(call, 2, shape[1]);
  const double epsilon = call.node.Float("epsilon", 1e-5f);
  const auto area = static_cast<size_t>(Product(shape, 2, shape.size()));
  const Tensor y = Doubles(call.In(0)).Clone();
  const auto out = y.As<double>();
  for (size_t begin = 0; begin < out.size(); begin += area) {
    const size_t c = begin / area % static_cast<size_t>(shape[1]);
    const auto plane = out.subspan(begin, area);
    Standardize(plane, epsilon);
    for (double& value : plane) value = value * scale.As<double>()[c] + bias.As<double>()[c];
  }
  return {y.Cast(dtype)};
}

Results LayerNormalization(const Call& call) {
  const DType dtype = FloatType(call);
  const Shape& shape = call.In(0).shape();
  const auto rank = static_cast<int64_t>(shape.size());
  const auto axis = static_cast<size_t>(NormalAxis(call.node, call.node.Int("axis", -1), rank));
  const Shape row_shape(shape.begin() + static_cast<ptrdiff_t>(axis), shape.end());
  const auto width = static_cast<size_t>(ElementCount(row_shape));
  const auto spread = [&](size_t input) {
    const Tensor given = Doubles(call.In(input));
    if (BroadcastShapes(call.node, given.shape(), row_shape) != row_shape) {
      call.Fail(fmt::format("{} does not broadcast to {}", ShapeText(given.shape()), ShapeText(row_shape)));
    }
    return CopyWalk(given, row_shape, BroadcastStrides(given.shape(), row_shape));
  };
  const Tensor scale = spread(1), bias = call.Has(2) ? spread(2) : Tensor();
  const double epsilon = call.node.Float("epsilon", 1e-5f);
  Shape moments_shape = shape;
  std::fill(moments_shape.begin() + static_cast<ptrdiff_t>(axis), moments_shape.end(), 1);
  const Tensor y = Doubles(call.In(0)).Clone(), mean = NewDoubles(moments_shape),
               inverse = NewDoubles(moments_shape);
  const auto out = y.As<double>();
  for (size_t begin = 0, i = 0; begin < out.size(); begin += width, ++i) {
    const auto row = out.subspan(begin, width);
    const Moments moments = Standardize(row, epsilon);
    mean.As<double>()[i] = moments.mean;
    inverse.As<double>()[i] = 1 / moments.deviation;
    for (size_t k = 0; k < width; ++k)
      row[k] = row[k] * scale.As<double>()[k] + (bias ? bias.As<double>()[k] : 0);
  }
  return {y.Cast(dtype), mean.Cast(DType::kF32), inverse.Cast(DType::kF32)};
}

// Applies function(row) to every vector along the softmax axis: one axis since opset 13, before that the
// input seen as the matrix [axes before, axes from it on].
template <class F>
Results AlongAxis(const Call& call, F function) {
  const DType dtype = FloatType(call);
  const Tensor y = Doubles(call.In(0)).Clone();
  const auto rank = static_cast<int64_t>(y.shape().size());
  const bool one_axis = call.opset >= 13;
  const int64_t axis = NormalAxis(call.node, call.node.Int("axis", one_axis ? -1 : 1), rank);
  Around around = SplitAround(y.shape(), axis);
  if (!one_axis) around = {around.outer, around.size * around.inner, 1};
  const auto out = y.As<double>();
  std::vector<double> row(static_cast<size_t>(around.size));
  for (int64_t outer = 0; outer < around.outer; ++outer) {
    for (int64_t inner = 0; inner < around.inner; ++inner) {
      const auto at = [&](size_t i) -> double& {
        return out[static_cast<size_t>((outer * around.size + static_cast<int64_t>(i)) * around.inner +
                                       inner)];
      };
      for (size_t i = 0; i < row.size(); ++i) row[i] = at(i);
      if (!row.empty()) function(row);
      for (size_t i = 0; i < row.size(); ++i) at(i) = row[i];
    }
  }
  return {y.Cast(dtype)};
}

double LogSum(const std::vector<double>& row, double top) {
  double sum = 0;
  for (const double value : row) sum += std::exp(value - top);
  return std::log(sum);
}

Results LogSoftmax(const Call& call) {
  return AlongAxis(call, [](std::vector<double>& row) {
    const double top = *std::max_element(row.begin(), row.end());
    const double log_sum = LogSum(row, top);
    for (double& value : row) value = value - top - log_sum;
  });
}

Results Softmax(const Call& call) {
  return AlongAxis(call, [](std::vector<double>& row) {
    const double top = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (double& value : row) sum += value = std::exp(value - top);
    for (double& value : row) value /= sum;
  });
}

Results Hardmax(const Call& call) {
  return AlongAxis(call, [](std::vector<double>& row) {
    const auto top = std::max_element(row.begin(), row.end()) - row.begin();
    std::ranges::fill(row, 0.0);
    row[static_cast<size_t>(top)] = 1;
  });
}

constexpr Operator kOperators[] = {
    {"BatchNormalization", 7, BatchNormalization},
    {"Hardmax", 1, Hardmax},
    {"InstanceNormalization", 6, InstanceNormalization},
    {"LayerNormalization", 17, LayerNormalization},
    {"LogSoftmax", 1, LogSoftmax},
    {"Softmax", 1, Softmax},
};

}  // namespace

std::span<const Operator> NormalizeOperators() { return kOperators; }

}  // namespace strop::model::reference
