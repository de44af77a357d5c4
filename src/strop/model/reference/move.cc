#include <algorithm>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"
#include "strop/model/text.h"

// Operators that only move elements, of any type.
namespace strop::model::reference {
namespace {

Results Transpose(const Call& call) {
  const Tensor& x = call.In(0);
  const auto rank = static_cast<int64_t>(x.shape().size());
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  std::iota(perm.rbegin(), perm.rend(), 0);
  perm = call.node.Ints("perm", perm);
  if (static_cast<int64_t>(NormalAxes(call.node, perm, rank).size()) != rank) {
    call.Fail(fmt::format("perm has {} axes, the input {}", perm.size(), rank));
  }
  const std::vector<int64_t> from = RowMajorStrides(x.shape());
  Shape shape;
  std::vector<int64_t> strides;
  for (const int64_t axis : perm) {
    const auto at = static_cast<size_t>(NormalAxis(call.node, axis, rank));
    shape.push_back(x.shape()[at]);
    strides.push_back(from[at]);
  }
  return {CopyWalk(x, shape, strides)};
}

Results Concat(const Call& call) {
  const Tensor& first = call.In(0);
  const auto rank = static_cast<int64_t>(first.shape().size());
  const int64_t axis = NormalAxis(call.node, call.node.Int("axis", 1), rank);
  const auto at = static_cast<size_t>(axis);
  Shape shape = first.shape();
  shape[at] = 0;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const Tensor& x = call.In(i);
    Shape same = x.shape();
    if (static_cast<int64_t>(same.size()) == rank) {
      shape[at] += same[at];
      same[at] = first.shape()[at];
    }
    if (same != first.shape() || x.dtype() != first.dtype()) {
      call.Fail(fmt::format("{}{} and {}{} do not join along axis {}", DTypeName(first.dtype()),
                            ShapeText(first.shape()), DTypeName(x.dtype()), ShapeText(x.shape()), axis));
    }
  }
  Tensor result = Tensor::New(first.dtype(), shape);
  const Around around = SplitAround(shape, axis);
  auto* out = static_cast<char*>(result.data());
  for (int64_t outer = 0; outer < around.outer; ++outer) {
    for (const Tensor& x : call.inputs) {
      const size_t bytes = static_cast<size_t>(x.shape()[at] * around.inner) * SizeOf(x.dtype());
      std::memcpy(out, static_cast<const char*>(x.data()) + static_cast<size_t>(outer) * bytes, bytes);
      out += bytes;
    }
  }
  return {result};
}

// x[..., begin + step * i, ...] along each axis.
Tensor Strided(const Tensor& x, const Shape& shape, const std::vector<int64_t>& begins,
               const std::vector<int64_t>& steps) {
  std::vector<int64_t> strides = RowMajorStrides(x.shape());
  int64_t start = 0;
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    start += begins[axis] * strides[axis];
    strides[axis] *= steps[axis];
  }
  return CopyWalk(x, shape, strides, start);
}

Results Split(const Call& call) {
  const Tensor& x = call.In(0);
  const auto rank = static_cast<int64_t>(x.shape().size());
  const auto at = static_cast<size_t>(NormalAxis(call.node, call.node.Int("axis", 0), rank));
  std::vector<int64_t> sizes = call.IntsSince(13, "split", 1);
  const int64_t total = x.shape()[at];
  const auto parts = static_cast<int64_t>(call.node.outputs.size());
  if (sizes.empty() && parts > 0) {
    const int64_t chunk = (total + parts - 1) / parts;
    for (int64_t i = 0; i < parts; ++i) sizes.push_back(std::clamp<int64_t>(total - i * chunk, 0, chunk));
  }
  const bool negative = std::any_of(sizes.begin(), sizes.end(), [](int64_t s) { return s < 0; });
  if (negative || static_cast<int64_t>(sizes.size()) != parts ||
      std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) != total) {
    call.Fail(fmt::format("{} outputs do not share the {} elements of axis {}", parts, total, at));
  }
  Results results;
  std::vector<int64_t> begins(x.shape().size(), 0);
  for (const int64_t size : sizes) {
    Shape shape = x.shape();
    shape[at] = size;
    results.push_back(Strided(x, shape, begins, std::vector<int64_t>(shape.size(), 1)));
    begins[at] += size;
  }
  return results;
}

Results Slice(const Call& call) {
  const Tensor& x = call.In(0);
  const auto rank = static_cast<int64_t>(x.shape().size());
  const std::vector<int64_t> starts = call.IntsSince(10, "starts", 1);
  const std::vector<int64_t> ends = call.IntsSince(10, "ends", 2);
  std::vector<int64_t> axes(starts.size());
  std::iota(axes.begin(), axes.end(), 0);
  axes = call.IntsSince(10, "axes", 3, axes);
  std::vector<int64_t> given_steps(starts.size(), 1);
  if (call.opset >= 10 && call.Has(4)) given_steps = call.Ints(4);
  NormalAxes(call.node, axes, rank);
  if (ends.size() != starts.size() || axes.size() != starts.size() || given_steps.size() != starts.size()) {
    call.Fail("starts, ends, axes and steps differ in length");
  }
  Shape shape = x.shape();
  std::vector<int64_t> begins(shape.size(), 0), steps(shape.size(), 1);
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto at = static_cast<size_t>(NormalAxis(call.node, axes[i], rank));
    const int64_t size = x.shape()[at];
    const int64_t step = std::clamp<int64_t>(given_steps[i], -INT32_MAX, INT32_MAX);
    if (step == 0) call.Fail(fmt::format("the step of axis {} is 0", at));
    const auto wrap = [&](int64_t v) { return v < 0 ? v + size : v; };
    const int64_t low = step > 0 ? 0 : -1;
    const int64_t high = step > 0 ? size : size - 1;
    const int64_t begin = std::clamp(wrap(starts[i]), step > 0 ? 0 : std::min<int64_t>(0, high), high);
    const int64_t end = std::clamp(wrap(ends[i]), low, step > 0 ? size : high);
    const int64_t span = step > 0 ? end - begin : begin - end;
    const int64_t stride = step > 0 ? step : -step;
    shape[at] = span <= 0 ? 0 : (span + stride - 1) / stride;
    begins[at] = begin;
    steps[at] = step;
  }
  return {Strided(x, shape, begins, steps)};
}

int64_t CheckIndex(const Call& call, int64_t index, int64_t size) {
  if (index < -size || index >= size)
    call.Fail(fmt::format("index {} is outside of an axis of {}", index, size));
  return index < 0 ? index + size : index;
}

Results Gather(const Call& call) {
  const Tensor& x = call.In(0);
  const std::vector<int64_t> indices = call.Ints(1);
  const int64_t axis =
      NormalAxis(call.node, call.node.Int("axis", 0), static_cast<int64_t>(x.shape().size()));
  const Around around = SplitAround(x.shape(), axis);
  Shape shape(x.shape().begin(), x.shape().begin() + axis);
  shape.insert(shape.end(), call.In(1).shape().begin(), call.In(1).shape().end());
  shape.insert(shape.end(), x.shape().begin() + axis + 1, x.shape().end());
  Tensor result = Tensor::New(x.dtype(), shape);
  const size_t bytes = static_cast<size_t>(around.inner) * SizeOf(x.dtype());
  auto* out = static_cast<char*>(result.data());
  for (int64_t outer = 0; outer < around.outer; ++outer) {
    for (const int64_t index : indices) {
      const int64_t row = outer * around.size + CheckIndex(call, index, around.size);
      std::memcpy(out, static_cast<const char*>(x.data()) + static_cast<size_t>(row) * bytes, bytes);
      out += bytes;
    }
  }
  return {result};
}

Results GatherElements(const Call& call) {
  const Tensor& x = call.In(0);
  const Shape& shape = call.In(1).shape();
  const std::vector<int64_t> indices = call.Ints(1);
  const auto at = static_cast<size_t>(
      NormalAxis(call.node, call.node.Int("axis", 0), static_cast<int64_t>(x.shape().size())));
  bool inside = shape.size() == x.shape().size();
  for (size_t axis = 0; inside && axis < shape.size(); ++axis) {
    inside = axis == at || shape[axis] <= x.shape()[axis];
  }
  if (!inside) call.Fail(fmt::format("indices {} do not lie in {}", ShapeText(shape), ShapeText(x.shape())));
  const std::vector<int64_t> strides = RowMajorStrides(x.shape());
  std::vector<int64_t> others = strides;
  others[at] = 0;
  Tensor result = Tensor::New(x.dtype(), shape);
  const size_t element = SizeOf(x.dtype());
  Walk walk(shape, {others});
  for (size_t i = 0; i < indices.size(); ++i, walk.Next()) {
    const int64_t from = walk.offset(0) + CheckIndex(call, indices[i], x.shape()[at]) * strides[at];
    std::memcpy(static_cast<char*>(result.data()) + i * element,
                static_cast<const char*>(x.data()) + static_cast<size_t>(from) * element, element);
  }
  return {result};
}

Results Expand(const Call& call) {
  const Tensor& x = call.In(0);
  const Shape shape = BroadcastShapes(call.node, x.shape(), call.Ints(1));
  return {CopyWalk(x, shape, BroadcastStrides(x.shape(), shape))};
}

Results Tile(const Call& call) {
  const Tensor& x = call.In(0);
  const std::vector<int64_t> repeats = call.Ints(1);
  const size_t rank = x.shape().size();
  const bool negative = std::any_of(repeats.begin(), repeats.end(), [](int64_t r) { return r < 0; });
  if (negative || repeats.size() != rank)
    call.Fail(fmt::format("repeats must be {} sizes of at least 0", rank));
  // Seen as [repeat, size] an axis, the repeats have stride 0.
  const std::vector<int64_t> own = RowMajorStrides(x.shape());
  Shape split, shape;
  std::vector<int64_t> strides;
  for (size_t axis = 0; axis < rank; ++axis) {
    split.insert(split.end(), {repeats[axis], x.shape()[axis]});
    strides.insert(strides.end(), {0, own[axis]});
    shape.push_back(repeats[axis] * x.shape()[axis]);
  }
  return {CopyWalk(x, split, strides).Reshaped(shape)};
}

// The source index of a padded position, or -1 for the constant.
int64_t PadSource(const std::string& mode, int64_t at, int64_t size) {
  if (at >= 0 && at < size) return at;
  if (size == 0 || mode == "constant") return -1;
  if (mode == "edge") return at < 0 ? 0 : size - 1;
  const int64_t period = mode == "wrap" ? size : std::max<int64_t>(1, 2 * (size - 1));
  const int64_t folded = ((at % period) + period) % period;
  return mode == "wrap" || folded < size ? folded : period - folded;
}

Results Pad(const Call& call) {
  const Tensor& x = call.In(0);
  const size_t rank = x.shape().size();
  const std::string mode = call.node.Text("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap") {
    call.Fail(fmt::format("mode is \"{}\", expected constant, edge, reflect or wrap", Printable(mode)));
  }
  const std::vector<int64_t> given = call.IntsSince(11, "pads", 1);
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (call.opset >= 18 && call.Has(3)) axes = call.Ints(3);
  NormalAxes(call.node, axes, static_cast<int64_t>(rank));
  if (given.size() != 2 * axes.size()) {
    call.Fail(fmt::format("pads has {} values, expected {}", given.size(), 2 * axes.size()));
  }
  std::vector<int64_t> begins(rank, 0);
  Shape shape = x.shape();
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto at = static_cast<size_t>(NormalAxis(call.node, axes[i], static_cast<int64_t>(rank)));
    const int64_t begin = given[i], end = given[i + axes.size()];
    if (std::max(begin, end) > INT32_MAX || std::min(begin, end) < -INT32_MAX ||
        x.shape()[at] + begin + end < 0) {
      call.Fail(fmt::format("pads {} and {} do not suit an axis of {}", begin, end, x.shape()[at]));
    }
    begins[at] = begin;
    shape[at] += begin + end;
  }
  const float fallback = call.node.Float("value", 0);
  const Tensor zero = Tensor::From<float>({1}, std::span(&fallback, 1)).Cast(x.dtype());
  const Tensor* given_value = call.opset >= 11 ? call.Optional(2) : nullptr;
  const Tensor& value = given_value ? *given_value : zero;
  if (value.size() != 1 || value.dtype() != x.dtype())
    call.Fail("the padding value is one element of the input's type");

  const std::vector<int64_t> strides = RowMajorStrides(x.shape());
  Tensor result = Tensor::New(x.dtype(), shape);
  const size_t element = SizeOf(x.dtype());
  Walk walk(shape, {});
  for (size_t i = 0, count = static_cast<size_t>(result.size()); i < count; ++i, walk.Next()) {
    int64_t from = 0;
    for (size_t axis = 0; axis < rank && from >= 0; ++axis) {
      const int64_t source = PadSource(mode, walk.index()[axis] - begins[axis], x.shape()[axis]);
      from = source < 0 ? -1 : from + source * strides[axis];
    }
    const auto* source = from < 0 ? static_cast<const char*>(value.data())
                                  : static_cast<const char*>(x.data()) + static_cast<size_t>(from) * element;
    std::memcpy(static_cast<char*>(result.data()) + i * element, source, element);
  }
  return {result};
}

// Matrices with zeros below (upper) or above the k-th diagonal.
Results Trilu(const Call& call) {
  const Tensor y = call.In(0).Clone();
  const Shape& shape = y.shape();
  if (shape.size() < 2) call.Fail(fmt::format("{} is no matrix", ShapeText(shape)));
  const bool upper = call.node.Int("upper", 1) != 0;
  const int64_t rows = shape[shape.size() - 2], columns = shape.back();
  const std::vector<int64_t> given = call.Has(1) ? call.Ints(1) : std::vector<int64_t>{0};
  if (given.size() != 1) call.Fail("k must be one number");
  const int64_t k = std::clamp(given[0], -rows, columns);
  const size_t element = SizeOf(y.dtype());
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t row = i / columns % rows, column = i % columns;
    if (upper ? column < row + k : column > row + k)
      std::memset(static_cast<char*>(y.data()) + static_cast<size_t>(i) * element, 0, element);
  }
  return {y};
}

constexpr Operator kOperators[] = {
    {"Concat", 4, Concat},
    {"Expand", 8, Expand},
    {"Gather", 1, Gather},
    {"GatherElements", 11, GatherElements},
    {"Pad", 2, Pad},
    {"Slice", 1, Slice},
    {"Split", 2, Split},
    {"Tile", 6, Tile},
    {"Transpose", 1, Transpose},
    {"Trilu", 14, Trilu},
};

}  // namespace

std::span<const Operator> MoveOperators() { return kOperators; }

}  // namespace strop::model::reference
