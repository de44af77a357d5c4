#include "strop/model/reference/conv.h"

#include <algorithm>

#include <fmt/format.h>

#include "strop/model/reference/numeric.h"
#include "strop/model/reference/taps.h"

namespace strop::model::reference {
namespace {

Results Conv(const Call& call) {
  const DType dtype = call.In(0).dtype();
  if (!IsFloat(dtype) || call.In(1).dtype() != dtype)
    call.Fail("the input and the weights must be floats of one type");
  const Tensor bias = call.Has(2) ? Doubles(call.In(2)) : Tensor();
  return {Convolve(call, Doubles(call.In(0)), Doubles(call.In(1)), bias ? &bias : nullptr).Cast(dtype)};
}

// x [N,C,...], w [C,M/group,...]: every input element adds its weighted kernel to the output.
Results ConvTranspose(const Call& call) {
  const DType dtype = call.In(0).dtype();
  if (!IsFloat(dtype) || call.In(1).dtype() != dtype)
    call.Fail("the input and the weights must be floats of one type");
  const Tensor x = Doubles(call.In(0));
  const Tensor w = Doubles(call.In(1));
  const int64_t group = call.node.Int("group", 1);
  if (x.shape().size() < 3 || x.shape().size() != w.shape().size() || group < 1 ||
      w.shape()[0] != x.shape()[1] || x.shape()[1] % group != 0) {
    call.Fail(fmt::format("weights {} of {} groups do not suit the input {}", ShapeText(w.shape()), group,
                          ShapeText(x.shape())));
  }
  const int64_t channels = x.shape()[1] / group, filters = w.shape()[1];
  const Shape small(x.shape().begin() + 2, x.shape().end());
  const Window window = TransposedWindow(call.node, small, {w.shape().begin() + 2, w.shape().end()});
  Shape shape = {x.shape()[0], filters * group};
  shape.insert(shape.end(), window.output.begin(), window.output.end());
  Tensor y = NewDoubles(shape);
  const auto out = y.As<double>();
  const int64_t out_area = Product(window.output, 0, window.output.size());
  const int64_t area = Product(small, 0, small.size());
  const int64_t kernel_area = Product(window.kernel, 0, window.kernel.size());
  const Tensor bias = call.Has(2) ? Doubles(call.In(2)) : Tensor();
  if (bias && bias.size() != shape[1])
    call.Fail(fmt::format("the bias has {} elements, expected {}", bias.size(), shape[1]));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = bias ? bias.As<double>()[i / static_cast<size_t>(out_area) % static_cast<size_t>(shape[1])] : 0;
  }
  const auto in = x.As<double>();
  const auto weights = w.As<double>();
  Walk walk(small, {});
  for (int64_t at = 0; at < area; ++at, walk.Next()) {
    const Taps taps = TapsAt(window, window.output, walk.index());
    for (int64_t n = 0; n < shape[0]; ++n) {
      for (int64_t c = 0; c < x.shape()[1]; ++c) {
        const double value = in[static_cast<size_t>((n * x.shape()[1] + c) * area + at)];
        for (int64_t m = 0; m < filters; ++m) {
          const int64_t plane = (n * shape[1] + c / channels * filters + m) * out_area;
          const int64_t kernel = (c * filters + m) * kernel_area;
          for (const Tap& tap : taps.taps) {
            out[static_cast<size_t>(plane + tap.input)] +=
                value * weights[static_cast<size_t>(kernel + tap.kernel)];
          }
        }
      }
    }
  }
  return {y.Cast(dtype)};
}

constexpr Operator kOperators[] = {{"Conv", 1, Conv}, {"ConvTranspose", 1, ConvTranspose}};

}  // namespace

Tensor Convolve(const Call& call, const Tensor& x, const Tensor& w, const Tensor* b) {
  const int64_t group = call.node.Int("group", 1);
  const Shape& in = x.shape();
  const Shape& weights = w.shape();
  if (in.size() < 3 || in.size() != weights.size() || group < 1 || weights[0] % group != 0 ||
      in[1] != weights[1] * group) {
    call.Fail(fmt::format("weights {} of {} groups do not suit the input {}", ShapeText(weights), group,
                          ShapeText(in)));
  }
  if (b && b->size() != weights[0])
    call.Fail(fmt::format("the bias has {} elements, expected {}", b->size(), weights[0]));
  const Shape spatial(in.begin() + 2, in.end());
  std::vector<int64_t> kernel(weights.begin() + 2, weights.end());
  if (call.node.Ints("kernel_shape", kernel) != kernel) {
    call.Fail(fmt::format("kernel_shape is not that of the weights {}", ShapeText(weights)));
  }
  const Window window = SlideWindow(call.node, spatial, kernel);
  Shape shape = {in[0], weights[0]};
  shape.insert(shape.end(), window.output.begin(), window.output.end());
  Tensor y = NewDoubles(shape);

  const int64_t channels = weights[1], per_group = weights[0] / group;
  const int64_t area = Product(spatial, 0, spatial.size());
  const int64_t kernel_area = Product(kernel, 0, kernel.size());
  const int64_t out_area = Product(window.output, 0, window.output.size());
  const auto* input = static_cast<const double*>(x.data());
  const auto* weight = static_cast<const double*>(w.data());
  auto* out = static_cast<double*>(y.data());
  Walk walk(window.output, {});
  for (int64_t at = 0; at < out_area; ++at, walk.Next()) {
    const Taps seen = TapsAt(window, spatial, walk.index());
    for (int64_t n = 0; n < in[0]; ++n) {
      for (int64_t m = 0; m < weights[0]; ++m) {
        double sum = b ? b->As<double>()[static_cast<size_t>(m)] : 0;
        for (int64_t c = 0; c < channels; ++c) {
          const double* plane = input + (n * in[1] + m / per_group * channels + c) * area;
          const double* filter = weight + (m * channels + c) * kernel_area;
          for (const Tap& tap : seen.taps) sum += plane[tap.input] * filter[tap.kernel];
        }
        out[(n * weights[0] + m) * out_area + at] = sum;
      }
    }
  }
  return y;
}

std::span<const Operator> ConvOperators() { return kOperators; }

}  // namespace strop::model::reference
