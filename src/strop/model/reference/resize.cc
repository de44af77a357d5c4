#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"
#include "strop/model/resize_plan.h"
#include "strop/model/text.h"

// Resize interpolates one axis after the other, as the specification's reference does.
namespace strop::model::reference {
namespace {

struct Options {
  std::string mode, transform, nearest;
  double cubic, extrapolation;
  bool antialias, exclude_outside;
};

Options ReadOptions(const Call& call) {
  const Node& node = call.node;
  Options options{node.Text("mode", "nearest"),
                  node.Text("coordinate_transformation_mode", call.opset < 11 ? "asymmetric" : "half_pixel"),
                  node.Text("nearest_mode", call.opset < 11 ? "floor" : "round_prefer_floor"),
                  node.Float("cubic_coeff_a", -0.75f),
                  node.Float("extrapolation_value", 0),
                  node.Int("antialias", 0) != 0,
                  node.Int("exclude_outside", 0) != 0};
  if (options.mode != "nearest" && options.mode != "linear" && options.mode != "cubic")
    call.Fail(fmt::format("mode is \"{}\", expected nearest, linear or cubic", Printable(options.mode)));
  if (options.antialias && options.mode == "nearest") call.Fail("antialias is for linear and cubic");
  return options;
}

// Where output index `at` lies on the input axis. `length` is the output's before it was rounded down.
double Source(const Call& call, const std::string& transform, double at, double scale, int64_t in,
              double length, int64_t out, const double* roi) {
  const auto size = static_cast<double>(in);
  if (transform == "align_corners") return length == 1 ? 0 : at * (size - 1) / (length - 1);
  if (transform == "asymmetric") return at / scale;
  if (transform == "tf_crop_and_resize") {
    const double begin = roi[0], end = roi[1];
    const double inside =
        length == 1 ? (end - begin) * (size - 1) / 2 : at * (end - begin) * (size - 1) / (length - 1);
    return begin * (size - 1) + inside;
  }
  if (transform == "pytorch_half_pixel") return length == 1 ? -0.5 : (at + 0.5) / scale - 0.5;
  if (transform == "half_pixel") return (at + 0.5) / scale - 0.5;
  if (transform == "half_pixel_symmetric")
    return size / 2 * (1 - static_cast<double>(out) / length) + (at + 0.5) / scale - 0.5;
  if (transform == "tf_half_pixel_for_nn") return (at + 0.5) / scale;
  call.Fail(fmt::format("coordinate_transformation_mode \"{}\"", Printable(transform)));
}

double Cubic(double x, double a) {
  x = std::fabs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

// What the neighbours first, first + 1, … count.
struct Weights {
  int64_t first = 0;
  std::vector<double> values;
};

Weights Nearest(const Call& call, const std::string& mode, double at) {
  const double low = std::floor(at), ratio = at - low;
  double pick = low;
  if (mode == "round_prefer_floor") {
    pick = ratio <= 0.5 ? low : low + 1;
  } else if (mode == "round_prefer_ceil") {
    pick = ratio < 0.5 ? low : low + 1;
  } else if (mode == "ceil") {
    pick = ratio == 0 ? low : low + 1;
  } else if (mode != "floor") {
    call.Fail(fmt::format("nearest_mode \"{}\"", Printable(mode)));
  }
  return {static_cast<int64_t>(pick), {1}};
}

Weights Neighbours(const Call& call, const Options& options, double at, double scale) {
  if (options.mode == "nearest") return Nearest(call, options.nearest, at);
  const double low = std::floor(at);
  // With antialias a shrinking kernel is as wide as what one output element covers.
  const double shrink = options.antialias ? std::min(scale, 1.0) : 1;
  const double reach = (options.mode == "linear" ? 1 : 2) / shrink;
  Weights weights{static_cast<int64_t>(low + std::floor(-reach) + 1), {}};
  const auto last = static_cast<int64_t>(low + std::ceil(reach));
  for (int64_t i = weights.first; i <= last; ++i) {
    const double distance = (static_cast<double>(i) - at) * shrink;
    weights.values.push_back(options.mode == "linear" ? std::max(0.0, 1 - std::fabs(distance))
                                                      : Cubic(distance, options.cubic));
  }
  return weights;
}

// Outside weights count the border, or nothing (exclude_outside); with antialias or exclude_outside the rest
// sums to 1.
void Settle(const Options& options, int64_t size, Weights& weights) {
  for (size_t i = 0; options.exclude_outside && i < weights.values.size(); ++i) {
    const int64_t place = weights.first + static_cast<int64_t>(i);
    if (place < 0 || place >= size) weights.values[i] = 0;
  }
  if (!options.exclude_outside && !options.antialias) return;
  const double sum = std::accumulate(weights.values.begin(), weights.values.end(), 0.0);
  for (double& value : weights.values) value /= sum == 0 ? 1 : sum;
}

Tensor AlongAxis(const Call& call, const Options& options, const Tensor& x, size_t axis, double scale,
                 int64_t size, const double* roi) {
  const Around in = SplitAround(x.shape(), static_cast<int64_t>(axis));
  Shape shape = x.shape();
  shape[axis] = size;
  const Tensor y = NewDoubles(shape);
  for (int64_t i = 0; i < size; ++i) {
    const double at = Source(call, options.transform, static_cast<double>(i), scale, in.size,
                             scale * static_cast<double>(in.size), size, roi);
    const bool outside =
        options.transform == "tf_crop_and_resize" && (at < 0 || at > static_cast<double>(in.size - 1));
    Weights weights = Neighbours(call, options, at, scale);
    Settle(options, in.size, weights);
    for (int64_t outer = 0; outer < in.outer; ++outer) {
      for (int64_t inner = 0; inner < in.inner; ++inner) {
        double sum = outside ? options.extrapolation : 0;
        for (size_t k = 0; !outside && k < weights.values.size(); ++k) {
          const int64_t place = std::clamp<int64_t>(weights.first + static_cast<int64_t>(k), 0, in.size - 1);
          sum += weights.values[k] *
                 x.As<double>()[static_cast<size_t>((outer * in.size + place) * in.inner + inner)];
        }
        y.As<double>()[static_cast<size_t>((outer * size + i) * in.inner + inner)] = sum;
      }
    }
  }
  return y;
}

// Interpolated integers are cut off towards zero and kept within their type.
Tensor Saturated(const Tensor& y, DType dtype) {
  const Tensor held = y.Clone();
  VisitInteger(dtype, [&]<class T>(T) {
    for (double& value : held.As<double>())
      value = std::clamp(value, static_cast<double>(std::numeric_limits<T>::min()),
                         static_cast<double>(std::numeric_limits<T>::max()));
  });
  return held.Cast(dtype);
}

std::optional<std::vector<double>> Numbers(const Call& call, size_t input) {
  if (!call.Has(input) || call.In(input).size() == 0) return std::nullopt;
  const Tensor wide = Doubles(call.In(input));
  return std::vector<double>(wide.As<double>().begin(), wide.As<double>().end());
}

Results Resize(const Call& call) {
  const Tensor& x = call.In(0);
  const bool since_11 = call.opset >= 11;
  const Options options = ReadOptions(call);
  const std::optional<std::vector<double>> roi = since_11 ? Numbers(call, 1) : std::nullopt;
  std::optional<std::vector<int64_t>> sizes;
  if (since_11 && call.Has(3) && call.In(3).size() > 0) sizes = call.Ints(3);
  const ResizePlan plan = PlanResize(call.node, x.shape(), Numbers(call, since_11 ? 2 : 1), sizes);
  const bool crops = options.transform == "tf_crop_and_resize";
  if (crops && (!roi || roi->size() != 2 * plan.axes.size())) call.Fail("roi must hold two numbers an axis");
  Tensor y = Doubles(x);
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    const auto axis = static_cast<size_t>(plan.axes[i]);
    const double crop[2] = {crops ? (*roi)[i] : 0, crops ? (*roi)[plan.axes.size() + i] : 1};
    const bool same = plan.scales[i] == 1 && plan.output[axis] == y.shape()[axis];
    if (same && crop[0] == 0 && crop[1] == 1) continue;
    y = AlongAxis(call, options, y, axis, plan.scales[i], plan.output[axis], crop);
  }
  return {IsFloat(x.dtype()) ? y.Cast(x.dtype()) : Saturated(y, x.dtype())};
}

constexpr Operator kOperators[] = {{"Resize", 10, Resize}};

}  // namespace

std::span<const Operator> ResizeOperators() { return kOperators; }

}  // namespace strop::model::reference
