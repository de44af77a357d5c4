#include <algorithm>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"
#include "strop/model/reference/taps.h"

// What pooling and unfolding took apart is put together again.
namespace strop::model::reference {
namespace {

// x at the places that `indices` name in the tensor that MaxPool saw, zeros elsewhere. output_shape, if
// given, only widens that tensor at its ends.
Results MaxUnpool(const Call& call) {
  const Tensor& x = call.In(0);
  const Shape& in = x.shape();
  if (in.size() < 3 || call.In(1).shape() != in) call.Fail("the indices must have the input's shape");
  const size_t axes = in.size() - 2;
  const std::vector<int64_t> kernel = call.node.Ints("kernel_shape");
  const std::vector<int64_t> strides = call.node.Ints("strides", std::vector<int64_t>(axes, 1));
  const std::vector<int64_t> pads = call.node.Ints("pads", std::vector<int64_t>(2 * axes, 0));
  if (kernel.size() != axes || strides.size() != axes || pads.size() != 2 * axes)
    call.Fail(fmt::format("kernel_shape, strides and pads do not suit {} spatial axes", axes));
  Shape pooled = in;
  for (size_t i = 0; i < axes; ++i)
    pooled[i + 2] = (in[i + 2] - 1) * strides[i] - pads[i] - pads[axes + i] + kernel[i];
  const Shape shape = call.Has(2) ? call.Ints(2) : pooled;
  bool fits = shape.size() == pooled.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] >= pooled[i] && pooled[i] > 0;
  if (!fits) call.Fail(fmt::format("{} does not hold {}", ShapeText(shape), ShapeText(pooled)));
  Tensor y = Tensor::New(x.dtype(), shape);
  std::fill_n(static_cast<char*>(y.data()), y.bytes(), 0);
  const std::vector<int64_t> inner = RowMajorStrides(pooled), outer = RowMajorStrides(shape);
  const std::vector<int64_t> indices = call.Ints(1);
  const size_t element = SizeOf(x.dtype());
  const int64_t count = ElementCount(pooled);
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= count)
      call.Fail(fmt::format("index {} is outside of {}", indices[i], ShapeText(pooled)));
    int64_t to = 0;
    for (size_t axis = 0; axis < pooled.size(); ++axis)
      to += indices[i] / inner[axis] % pooled[axis] * outer[axis];
    std::copy_n(static_cast<const char*>(x.data()) + i * element, element,
                static_cast<char*>(y.data()) + static_cast<size_t>(to) * element);
  }
  return {y};
}

// x [N, C * product(block), L]: each of the L columns is added to the image where its block lies.
Results Col2Im(const Call& call) {
  const Tensor x = Doubles(call.In(0));
  const std::vector<int64_t> image = call.Ints(1), block = call.Ints(2);
  const int64_t taps = Product(block, 0, block.size()), area = Product(image, 0, image.size());
  if (x.shape().size() != 3 || block.size() != image.size() || taps < 1 || x.shape()[1] % taps != 0)
    call.Fail(fmt::format("{} holds no columns of blocks {} of an image {}", ShapeText(x.shape()),
                          ShapeText(block), ShapeText(image)));
  const Window window = SlideWindow(call.node, image, block);
  const int64_t columns = Product(window.output, 0, window.output.size());
  if (columns != x.shape()[2]) call.Fail(fmt::format("{} columns, expected {}", x.shape()[2], columns));
  const int64_t channels = x.shape()[1] / taps, planes = x.shape()[0] * channels;
  Shape shape = {x.shape()[0], channels};
  shape.insert(shape.end(), image.begin(), image.end());
  const Tensor y = NewDoubles(shape);
  std::ranges::fill(y.As<double>(), 0.0);
  Walk walk(window.output, {});
  for (int64_t column = 0; column < columns; ++column, walk.Next()) {
    for (const Tap& tap : TapsAt(window, image, walk.index()).taps) {
      for (int64_t plane = 0; plane < planes; ++plane) {
        y.As<double>()[static_cast<size_t>(plane * area + tap.input)] +=
            x.As<double>()[static_cast<size_t>((plane * taps + tap.kernel) * columns + column)];
      }
    }
  }
  return {y.Cast(call.In(0).dtype())};
}

constexpr Operator kOperators[] = {{"Col2Im", 18, Col2Im}, {"MaxUnpool", 9, MaxUnpool}};

}  // namespace

std::span<const Operator> UnpoolOperators() { return kOperators; }

}  // namespace strop::model::reference
