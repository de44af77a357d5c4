#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"
#include "strop/model/reference/sample.h"

namespace strop::model::reference {
namespace {

struct Layer {
  Shape spatial;
  Window window;
  int64_t channels, filters, group, offset_group, taps, area, places;
};

Layer ReadLayer(const Call& call) {
  const Shape &in = call.In(0).shape(), &weights = call.In(1).shape(), &offset = call.In(2).shape();
  const int64_t group = call.node.Int("group", 1), offset_group = call.node.Int("offset_group", 1);
  if (in.size() < 3 || weights.size() != in.size() || group < 1 || offset_group < 1 ||
      in[1] != weights[1] * group || weights[0] % group != 0 || in[1] % offset_group != 0)
    call.Fail(fmt::format("weights {} of {} groups do not suit the input {}", ShapeText(weights), group,
                          ShapeText(in)));
  Layer layer{{in.begin() + 2, in.end()}, {}, in[1], weights[0], group, offset_group, 0, 0, 0};
  layer.window = SlideWindow(call.node, layer.spatial, {weights.begin() + 2, weights.end()});
  layer.taps = Product(layer.window.kernel, 0, layer.window.kernel.size());
  layer.area = Product(layer.spatial, 0, layer.spatial.size());
  layer.places = Product(layer.window.output, 0, layer.window.output.size());
  const auto axes = static_cast<int64_t>(layer.spatial.size());
  Shape wanted = {in[0], offset_group * layer.taps * axes};
  wanted.insert(wanted.end(), layer.window.output.begin(), layer.window.output.end());
  if (offset != wanted)
    call.Fail(fmt::format("offset is {}, expected {}", ShapeText(offset), ShapeText(wanted)));
  wanted[1] = offset_group * layer.taps;
  if (call.Has(4) && call.In(4).shape() != wanted)
    call.Fail(fmt::format("mask is {}, expected {}", ShapeText(call.In(4).shape()), ShapeText(wanted)));
  if (call.Has(3) && call.In(3).size() != weights[0]) call.Fail("the bias is not one a filter");
  return layer;
}

// The input as each tap of each place sees it: [N, C, taps, places], interpolated linearly at the tap's place
// plus its offset, times the mask.
Tensor Columns(const Call& call, const Layer& layer) {
  const Tensor x = Doubles(call.In(0)), offset = Doubles(call.In(2)),
               mask = call.Has(4) ? Doubles(call.In(4)) : Tensor();
  const int64_t batch = x.shape()[0];
  const auto axes = static_cast<int64_t>(layer.spatial.size());
  const Tensor columns = NewDoubles({batch, layer.channels, layer.taps, layer.places});
  auto* out = columns.As<double>().data();
  std::vector<double> position(layer.spatial.size());
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t c = 0; c < layer.channels; ++c) {
      const int64_t group = n * layer.offset_group + c / (layer.channels / layer.offset_group);
      const auto plane = x.As<double>().subspan(static_cast<size_t>((n * layer.channels + c) * layer.area),
                                                static_cast<size_t>(layer.area));
      Walk tap(layer.window.kernel, {});
      for (int64_t k = 0; k < layer.taps; ++k, tap.Next()) {
        Walk place(layer.window.output, {});
        for (int64_t at = 0; at < layer.places; ++at, place.Next()) {
          for (int64_t axis = 0; axis < axes; ++axis) {
            const auto i = static_cast<size_t>(axis);
            const int64_t start = place.index()[i] * layer.window.strides[i] +
                                  tap.index()[i] * layer.window.dilations[i] - layer.window.pads_begin[i];
            position[i] = static_cast<double>(start) +
                          offset.As<double>()[static_cast<size_t>(
                              ((group * layer.taps + k) * axes + axis) * layer.places + at)];
          }
          const double factor =
              mask ? mask.As<double>()[static_cast<size_t>((group * layer.taps + k) * layer.places + at)] : 1;
          *out++ = factor * SampleAt(plane, layer.spatial, position, {});
        }
      }
    }
  }
  return columns;
}

Results DeformConv(const Call& call) {
  const Layer layer = ReadLayer(call);
  const Tensor columns = Columns(call, layer), w = Doubles(call.In(1)),
               bias = call.Has(3) ? Doubles(call.In(3)) : Tensor();
  const int64_t batch = call.In(0).shape()[0], inner = layer.channels / layer.group * layer.taps;
  Shape shape = {batch, layer.filters};
  shape.insert(shape.end(), layer.window.output.begin(), layer.window.output.end());
  const Tensor y = NewDoubles(shape);
  auto* out = y.As<double>().data();
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t m = 0; m < layer.filters; ++m) {
      const int64_t group = n * layer.group + m / (layer.filters / layer.group);
      for (int64_t at = 0; at < layer.places; ++at) {
        double sum = bias ? bias.As<double>()[static_cast<size_t>(m)] : 0;
        for (int64_t i = 0; i < inner; ++i)
          sum += w.As<double>()[static_cast<size_t>(m * inner + i)] *
                 columns.As<double>()[static_cast<size_t>((group * inner + i) * layer.places + at)];
        *out++ = sum;
      }
    }
  }
  return {y.Cast(call.In(0).dtype())};
}

constexpr Operator kOperators[] = {{"DeformConv", 19, DeformConv}};

}  // namespace

std::span<const Operator> DeformConvOperators() { return kOperators; }

}  // namespace strop::model::reference
