#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"
#include "strop/model/reference/sample.h"
#include "strop/model/text.h"

namespace strop::model::reference {
namespace {

Sampling ReadSampling(const Call& call) {
  Sampling sampling;
  const std::string mode = call.node.Text("mode", call.opset < 20 ? "bilinear" : "linear");
  if (mode == "nearest") {
    sampling.taps = 1;
  } else if (mode == "cubic" || mode == "bicubic") {
    sampling.taps = 4;
  } else if (mode != "linear" && mode != "bilinear") {
    call.Fail(fmt::format("mode \"{}\"", Printable(mode)));
  }
  const std::string padding = call.node.Text("padding_mode", "zeros");
  if (padding == "border") {
    sampling.outside = Outside::kBorder;
  } else if (padding == "reflection") {
    sampling.outside = Outside::kReflection;
  } else if (padding != "zeros") {
    call.Fail(fmt::format("padding_mode \"{}\"", Printable(padding)));
  }
  sampling.align_corners = call.node.Int("align_corners", 0) != 0;
  return sampling;
}

// x [N, C, spatial...], grid [N, places..., axes]: -1 and 1 are the ends of an axis, the last axis first.
Results GridSample(const Call& call) {
  const Tensor x = Doubles(call.In(0)), grid = Doubles(call.In(1));
  const Shape &in = x.shape(), &places = grid.shape();
  const size_t axes = in.size() < 3 ? 0 : in.size() - 2;
  if (axes == 0 || places.size() != in.size() || places[0] != in[0] ||
      places.back() != static_cast<int64_t>(axes))
    call.Fail(fmt::format("the grid {} does not suit {}", ShapeText(places), ShapeText(in)));
  const Sampling sampling = ReadSampling(call);
  const Shape spatial(in.begin() + 2, in.end());
  Shape shape = {in[0], in[1]};
  shape.insert(shape.end(), places.begin() + 1, places.end() - 1);
  const auto area = static_cast<size_t>(Product(spatial, 0, axes));
  const int64_t count = Product(shape, 2, shape.size());
  const Tensor y = NewDoubles(shape);
  std::vector<double> position(axes);
  for (int64_t n = 0; n < in[0]; ++n) {
    for (int64_t at = 0; at < count; ++at) {
      const double* end = grid.As<double>().data() + ((n * count + at) + 1) * static_cast<int64_t>(axes);
      for (size_t axis = 0; axis < axes; ++axis) {
        const double along = *(end - 1 - axis) + 1;
        const auto size = static_cast<double>(spatial[axis]);
        position[axis] = sampling.align_corners ? along / 2 * (size - 1) : (along * size - 1) / 2;
      }
      for (int64_t c = 0; c < in[1]; ++c) {
        const auto plane = static_cast<size_t>(n * in[1] + c);
        y.As<double>()[plane * static_cast<size_t>(count) + static_cast<size_t>(at)] =
            SampleAt(x.As<double>().subspan(plane * area, area), spatial, position, sampling);
      }
    }
  }
  return {y.Cast(call.In(0).dtype())};
}

constexpr Operator kOperators[] = {{"GridSample", 16, GridSample}};

}  // namespace

std::span<const Operator> GridSampleOperators() { return kOperators; }

}  // namespace strop::model::reference
