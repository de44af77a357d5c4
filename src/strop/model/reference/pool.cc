#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"
#include "strop/model/reference/taps.h"

namespace strop::model::reference {
namespace {

struct Pooled {
  Shape spatial, shape;
  Window window;
  int64_t planes = 0, area = 0, out_area = 0;
};

Pooled Prepare(const Call& call) {
  const Shape& in = call.In(0).shape();
  if (in.size() < 3) call.Fail(fmt::format("the input {} has no spatial axes", ShapeText(in)));
  Pooled pooled;
  pooled.spatial.assign(in.begin() + 2, in.end());
  pooled.window = SlideWindow(call.node, pooled.spatial, call.node.Ints("kernel_shape"));
  pooled.shape = {in[0], in[1]};
  pooled.shape.insert(pooled.shape.end(), pooled.window.output.begin(), pooled.window.output.end());
  pooled.planes = in[0] * in[1];
  pooled.area = Product(pooled.spatial, 0, pooled.spatial.size());
  pooled.out_area = Product(pooled.window.output, 0, pooled.window.output.size());
  return pooled;
}

// Offset in one plane, counted as storage_order says: 0 row major, 1 column major.
int64_t PlaneOffset(int64_t row_major, const Shape& spatial, bool column_major) {
  if (!column_major) return row_major;
  int64_t offset = 0, stride = Product(spatial, 0, spatial.size());
  for (size_t axis = spatial.size(); axis-- > 0;) {
    stride /= spatial[axis];
    offset += row_major % spatial[axis] * stride;
    row_major /= spatial[axis];
  }
  return offset;
}

template <class T>
void MaxInto(const Call& call, const Pooled& pooled, const Tensor& x, const Tensor& y,
             const Tensor& indices) {
  const bool column_major = call.node.Int("storage_order", 0) != 0;
  const auto in = x.As<T>();
  const auto out = y.As<T>();
  const auto best_at = indices.As<int64_t>();
  Walk walk(pooled.window.output, {});
  for (int64_t at = 0; at < pooled.out_area; ++at, walk.Next()) {
    const Taps seen = TapsAt(pooled.window, pooled.spatial, walk.index());
    for (int64_t plane = 0; plane < pooled.planes; ++plane) {
      T best = std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                    : std::numeric_limits<T>::lowest();
      int64_t where = seen.taps.empty() ? 0 : seen.taps[0].input;
      for (const Tap& tap : seen.taps) {
        const T value = in[static_cast<size_t>(plane * pooled.area + tap.input)];
        if (value > best) {
          best = value;
          where = tap.input;
        }
      }
      const auto to = static_cast<size_t>(plane * pooled.out_area + at);
      out[to] = best;
      best_at[to] = plane * pooled.area + PlaneOffset(where, pooled.spatial, column_major);
    }
  }
}

Results MaxPool(const Call& call) {
  const Tensor& x = call.In(0);
  const Pooled pooled = Prepare(call);
  const Tensor indices = Tensor::New(DType::kI64, pooled.shape);
  if (IsFloat(x.dtype())) {
    const Tensor y = NewDoubles(pooled.shape);
    MaxInto<double>(call, pooled, Doubles(x), y, indices);
    return {y.Cast(x.dtype()), indices};
  }
  const Tensor y = Tensor::New(x.dtype(), pooled.shape);
  if (!VisitInteger(x.dtype(), [&]<class T>(T) { MaxInto<T>(call, pooled, x, y, indices); })) {
    call.Refuse(fmt::format("the type {}", DTypeName(x.dtype())));
  }
  return {y, indices};
}

Results AveragePool(const Call& call) {
  const Tensor& x = call.In(0);
  if (!IsFloat(x.dtype())) call.Refuse(fmt::format("the type {}", DTypeName(x.dtype())));
  const Pooled pooled = Prepare(call);
  const bool count_pads = call.node.Int("count_include_pad", 0) != 0;
  const Tensor wide = Doubles(x);
  const Tensor y = NewDoubles(pooled.shape);
  const auto in = wide.As<double>();
  const auto out = y.As<double>();
  Walk walk(pooled.window.output, {});
  for (int64_t at = 0; at < pooled.out_area; ++at, walk.Next()) {
    const Taps seen = TapsAt(pooled.window, pooled.spatial, walk.index());
    const auto count = static_cast<double>(count_pads ? seen.padded : static_cast<int64_t>(seen.taps.size()));
    for (int64_t plane = 0; plane < pooled.planes; ++plane) {
      double sum = 0;
      for (const Tap& tap : seen.taps) sum += in[static_cast<size_t>(plane * pooled.area + tap.input)];
      out[static_cast<size_t>(plane * pooled.out_area + at)] = count > 0 ? sum / count : 0;
    }
  }
  return {y.Cast(x.dtype())};
}

// function(values of one plane) -> its single value.
template <class F>
Results Global(const Call& call, F function) {
  const Tensor& x = call.In(0);
  if (!IsFloat(x.dtype())) call.Refuse(fmt::format("the type {}", DTypeName(x.dtype())));
  if (x.shape().size() < 3) call.Fail(fmt::format("the input {} has no spatial axes", ShapeText(x.shape())));
  Shape shape(x.shape().size(), 1);
  shape[0] = x.shape()[0];
  shape[1] = x.shape()[1];
  const auto area = static_cast<size_t>(Product(x.shape(), 2, x.shape().size()));
  if (area == 0) call.Fail(fmt::format("the input {} is empty", ShapeText(x.shape())));
  const Tensor wide = Doubles(x);
  const Tensor y = NewDoubles(shape);
  size_t plane = 0;
  for (double& value : y.As<double>()) value = function(wide.As<double>().subspan(area * plane++, area));
  return {y.Cast(x.dtype())};
}

Results GlobalAveragePool(const Call& call) {
  return Global(call, [](std::span<const double> plane) {
    double sum = 0;
    for (const double value : plane) sum += value;
    return sum / static_cast<double>(plane.size());
  });
}

Results GlobalMaxPool(const Call& call) {
  return Global(call,
                [](std::span<const double> plane) { return *std::max_element(plane.begin(), plane.end()); });
}

constexpr Operator kOperators[] = {
    {"AveragePool", 1, AveragePool},
    {"GlobalAveragePool", 1, GlobalAveragePool},
    {"GlobalMaxPool", 1, GlobalMaxPool},
    {"MaxPool", 1, MaxPool},
};

}  // namespace

std::span<const Operator> PoolOperators() { return kOperators; }

}  // namespace strop::model::reference
