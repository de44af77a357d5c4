#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/onnx_types.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

Tensor Ints(const std::vector<int64_t>& values) {
  return Tensor::From<int64_t>({static_cast<int64_t>(values.size())}, values);
}

Results Identity(const Call& call) { return {call.In(0)}; }

Results Reshape(const Call& call) {
  const Tensor& x = call.In(0);
  const bool allow_zero = call.node.Int("allowzero", 0) != 0;
  return {x.Reshaped(ReshapeTarget(call.node, x.shape(), call.Ints(1), allow_zero))};
}

Results Flatten(const Call& call) {
  const Tensor& x = call.In(0);
  const auto rank = static_cast<int64_t>(x.shape().size());
  const int64_t axis = call.node.Int("axis", 1);
  const auto split = static_cast<size_t>(axis == rank ? rank : NormalAxis(call.node, axis, rank));
  return {x.Reshaped({Product(x.shape(), 0, split), Product(x.shape(), split, x.shape().size())})};
}

Results Squeeze(const Call& call) {
  const Tensor& x = call.In(0);
  const auto rank = static_cast<int64_t>(x.shape().size());
  const std::vector<int64_t> axes = NormalAxes(call.node, call.IntsSince(13, "axes", 1), rank);
  Shape shape;
  for (int64_t axis = 0; axis < rank; ++axis) {
    const int64_t size = x.shape()[static_cast<size_t>(axis)];
    const bool named = std::binary_search(axes.begin(), axes.end(), axis);
    if (named && size != 1) call.Fail(fmt::format("axis {} of {} is not 1", axis, ShapeText(x.shape())));
    if (!(named || (axes.empty() && size == 1))) shape.push_back(size);
  }
  return {x.Reshaped(shape)};
}

Results Unsqueeze(const Call& call) {
  const Tensor& x = call.In(0);
  const std::vector<int64_t> given = call.IntsSince(13, "axes", 1);
  const std::vector<int64_t> axes =
      NormalAxes(call.node, given, static_cast<int64_t>(x.shape().size() + given.size()));
  Shape shape = x.shape();
  for (const int64_t axis : axes) shape.insert(shape.begin() + axis, 1);
  return {x.Reshaped(shape)};
}

// In inference the input passes through, and the mask is all true.
Results Dropout(const Call& call) {
  const Tensor& x = call.In(0);
  const Tensor* training = call.Optional(2);
  if (training && training->size() == 1 && training->As<bool>()[0]) call.Refuse("training mode");
  Tensor mask = Tensor::New(call.opset < 10 ? x.dtype() : DType::kBool, x.shape());
  if (mask.dtype() != DType::kBool) return {x};
  std::ranges::fill(mask.As<bool>(), true);
  return {x, mask};
}

Results ShapeOf(const Call& call) {
  const Shape& shape = call.In(0).shape();
  const auto rank = static_cast<int64_t>(shape.size());
  const auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamp(call.node.Int("start", 0));
  const int64_t end = std::max(start, clamp(call.node.Int("end", rank)));
  return {Ints({shape.begin() + start, shape.begin() + end})};
}

Results SizeOfTensor(const Call& call) {
  const int64_t size = call.In(0).size();
  return {Tensor::From<int64_t>({}, std::span(&size, 1))};
}

Results Constant(const Call& call) {
  const auto& attributes = call.node.attributes;
  if (const auto found = attributes.find("value"); found != attributes.end()) {
    if (const Tensor* tensor = std::get_if<Tensor>(&found->second)) return {*tensor};
  }
  if (attributes.contains("value_float")) {
    const float value = call.node.Float("value_float", 0);
    return {Tensor::From<float>({}, std::span(&value, 1))};
  }
  if (attributes.contains("value_int")) {
    const int64_t value = call.node.Int("value_int", 0);
    return {Tensor::From<int64_t>({}, std::span(&value, 1))};
  }
  if (const auto found = attributes.find("value_floats"); found != attributes.end()) {
    if (const auto* values = std::get_if<std::vector<float>>(&found->second)) {
      return {Tensor::From<float>({static_cast<int64_t>(values->size())}, *values)};
    }
  }
  if (attributes.contains("value_ints")) return {Ints(call.node.Ints("value_ints"))};
  call.Refuse("a constant that is neither a tensor nor numbers");
}

Results ConstantOfShape(const Call& call) {
  const float zero = 0;
  Tensor value = Tensor::From<float>({}, std::span(&zero, 1));
  if (const auto found = call.node.attributes.find("value"); found != call.node.attributes.end()) {
    if (const Tensor* tensor = std::get_if<Tensor>(&found->second)) value = *tensor;
  }
  if (value.size() != 1) call.Fail("value must hold one element");
  const Shape shape = call.Ints(0);
  if (std::any_of(shape.begin(), shape.end(), [](int64_t d) { return d < 0; })) {
    call.Fail(fmt::format("the shape {} has a negative size", ShapeText(shape)));
  }
  return {CopyWalk(value, shape, std::vector<int64_t>(shape.size(), 0))};
}

template <class T>
Tensor RangeOf(const Call& call) {
  for (size_t i = 0; i < 3; ++i) {
    if (call.In(i).size() != 1) call.Fail("start, limit and delta are scalars");
  }
  const T start = call.In(0).As<T>()[0], limit = call.In(1).As<T>()[0], delta = call.In(2).As<T>()[0];
  if (delta == T{0}) call.Fail("delta is 0");
  const double steps =
      std::ceil((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(delta));
  if (!(steps < 1e9)) call.Fail("the range has too many elements");
  Tensor result = Tensor::New(DTypeOf<T>::value, {std::max<int64_t>(0, static_cast<int64_t>(steps))});
  int64_t i = 0;
  for (T& value : result.As<T>()) value = static_cast<T>(start + static_cast<T>(i++) * delta);
  return result;
}

Results Range(const Call& call) {
  switch (call.In(0).dtype()) {
    case DType::kF32:
      return {RangeOf<float>(call)};
    case DType::kF64:
      return {RangeOf<double>(call)};
    case DType::kI16:
      return {RangeOf<int16_t>(call)};
    case DType::kI32:
      return {RangeOf<int32_t>(call)};
    case DType::kI64:
      return {RangeOf<int64_t>(call)};
    default:
      call.Refuse(fmt::format("the type {}", DTypeName(call.In(0).dtype())));
  }
}

// C++ leaves the conversion of a float that does not fit undefined, and so does ONNX: it saturates here.
Tensor FloatToInteger(const Tensor& x, DType dtype) {
  const Tensor from = Doubles(x);
  Tensor to = Tensor::New(dtype, x.shape());
  VisitInteger(dtype, [&]<class T>(T) {
    const auto out = to.As<T>();
    const auto in = from.As<double>();
    constexpr auto kLow = static_cast<double>(std::numeric_limits<T>::min());
    constexpr auto kHigh = static_cast<double>(std::numeric_limits<T>::max());
    for (size_t i = 0; i < out.size(); ++i) {
      const double value = std::trunc(in[i]);
      if (std::isnan(value)) {
        out[i] = 0;
      } else {
        out[i] = value <= kLow ? std::numeric_limits<T>::min()
                               : (value >= kHigh ? std::numeric_limits<T>::max() : static_cast<T>(value));
      }
    }
  });
  return to;
}

Tensor CastTo(const Tensor& x, DType dtype) {
  if (IsFloat(x.dtype()) && !IsFloat(dtype) && dtype != DType::kBool) return FloatToInteger(x, dtype);
  return x.Cast(dtype);
}

Results Cast(const Call& call) {
  const int64_t to = call.node.Int("to", 0);
  const std::optional<DType> dtype = FromOnnxType(to);
  if (!dtype) call.Refuse(fmt::format("a cast to {}", OnnxTypeName(to)));
  return {CastTo(call.In(0), *dtype)};
}

Results CastLike(const Call& call) { return {CastTo(call.In(0), call.In(1).dtype())}; }

constexpr Operator kOperators[] = {
    {"Cast", 6, Cast},           {"CastLike", 15, CastLike},
    {"Constant", 1, Constant},   {"ConstantOfShape", 9, ConstantOfShape},
    {"Dropout", 7, Dropout},     {"Flatten", 1, Flatten},
    {"Identity", 1, Identity},   {"Range", 11, Range},
    {"Reshape", 5, Reshape},     {"Shape", 1, ShapeOf},
    {"Size", 1, SizeOfTensor},   {"Squeeze", 1, Squeeze},
    {"Unsqueeze", 1, Unsqueeze},
};

}  // namespace

std::span<const Operator> ShapeOperators() { return kOperators; }

}  // namespace strop::model::reference
