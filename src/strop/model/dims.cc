#include "strop/model/dims.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "strop/base/error.h"
#include "strop/model/text.h"

namespace strop::model {
namespace {

constexpr int64_t kLargest = int64_t{1} << 31;  // of an attribute that is multiplied

std::vector<int64_t> WindowAttribute(const Node& node, const char* name, size_t count, int64_t fallback,
                                     int64_t lowest) {
  std::vector<int64_t> values = node.Ints(name);
  if (values.empty()) values.assign(count, fallback);
  const bool in_range =
      std::all_of(values.begin(), values.end(), [&](int64_t v) { return v >= lowest && v <= kLargest; });
  if (values.size() != count || !in_range) {
    ThrowNode(node, fmt::format("{} is [{}], expected {} values of at least {}", name, fmt::join(values, ","),
                                count, lowest));
  }
  return values;
}

// How many windows fit; `extent` is the dilated kernel, `padded` the input with both pads.
int64_t CountWindows(int64_t input, int64_t padded, int64_t pad_begin, int64_t extent, int64_t stride,
                     bool ceil_mode) {
  const int64_t room = padded - extent;
  if (room < 0) return ceil_mode && room > -stride && input + pad_begin > 0 ? 1 : 0;
  int64_t count = (ceil_mode ? room + stride - 1 : room) / stride + 1;
  // A window that would start in the padding at the end sees nothing and is left out.
  if (ceil_mode && (count - 1) * stride >= input + pad_begin) --count;
  return count;
}

// What Conv, ConvTranspose and pooling have in common; `output` stays empty.
Window ReadWindow(const Node& node, const Shape& spatial, std::vector<int64_t> kernel) {
  const size_t axes = spatial.size();
  if (kernel.size() != axes) {
    ThrowNode(node, fmt::format("the kernel [{}] does not have the {} spatial axes of the input",
                                fmt::join(kernel, ","), axes));
  }
  if (std::any_of(kernel.begin(), kernel.end(),
                  [](int64_t k) { return (k < 1 && k != -1) || k > kLargest; })) {
    ThrowNode(node, fmt::format("the kernel is [{}], expected sizes of at least 1", fmt::join(kernel, ",")));
  }
  Window window;
  window.kernel = std::move(kernel);
  window.strides = WindowAttribute(node, "strides", axes, 1, 1);
  window.dilations = WindowAttribute(node, "dilations", axes, 1, 1);
  const std::vector<int64_t> pads = WindowAttribute(node, "pads", 2 * axes, 0, 0);
  window.pads_begin.assign(pads.begin(), pads.begin() + static_cast<ptrdiff_t>(axes));
  window.pads_end.assign(pads.begin() + static_cast<ptrdiff_t>(axes), pads.end());
  return window;
}

std::string AutoPad(const Node& node) {
  const std::string auto_pad = node.Text("auto_pad", "NOTSET");
  if (auto_pad != "SAME_UPPER" && auto_pad != "SAME_LOWER" && auto_pad != "NOTSET" && auto_pad != "VALID") {
    ThrowNode(node, fmt::format("auto_pad is \"{}\", expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
                                Printable(auto_pad)));
  }
  return auto_pad;
}

}  // namespace

void ThrowNode(const Node& node, const std::string& message) {
  throw Error(Code::kInvalidArgument, fmt::format("node {} ({}): {}", node.name, node.op, message));
}

int64_t NormalAxis(const Node& node, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    ThrowNode(node, fmt::format("axis {} is outside of a tensor with {} axes", axis, rank));
  }
  return axis < 0 ? axis + rank : axis;
}

std::vector<int64_t> NormalAxes(const Node& node, std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes) axis = NormalAxis(node, axis, rank);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    ThrowNode(node, fmt::format("axes [{}] name an axis twice", fmt::join(axes, ",")));
  }
  return axes;
}

Shape BroadcastShapes(const Node& node, const Shape& a, const Shape& b) {
  Shape result(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < result.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    int64_t& out = result[result.size() - 1 - i];
    if (x == y || y == 1) {
      out = x;
    } else if (x == 1) {
      out = y;
    } else if (x < 0 || y < 0) {
      out = std::max(x, y);  // the known one: an unknown size must be it, or 1
    } else {
      ThrowNode(node, fmt::format("the shapes {} and {} do not broadcast", ShapeText(a), ShapeText(b)));
    }
  }
  return result;
}

Shape ReshapeTarget(const Node& node, const Shape& input, const std::vector<int64_t>& target,
                    bool allow_zero) {
  Shape shape = target;
  int64_t rest = -1;
  int64_t known = 1;
  bool all_known = true;
  const auto refuse = [&] {
    ThrowNode(node, fmt::format("{} does not reshape to [{}]", ShapeText(input), fmt::join(target, ",")));
  };
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1) {
      if (rest >= 0) refuse();
      rest = static_cast<int64_t>(i);
      continue;
    }
    if (shape[i] == 0 && !allow_zero) {
      if (i >= input.size()) refuse();
      shape[i] = input[i];
    }
    if (shape[i] < -1) refuse();
    all_known = all_known && shape[i] >= 0;
    if (shape[i] > 0 && known > INT64_MAX / shape[i]) refuse();
    known *= std::max<int64_t>(shape[i], -1);
  }
  const bool input_known = std::all_of(input.begin(), input.end(), [](int64_t d) { return d >= 0; });
  if (!input_known || !all_known) return shape;
  const int64_t count = ElementCount(input);
  if (rest >= 0) {
    if (known == 0 ? count != 0 : count % known != 0) refuse();
    shape[static_cast<size_t>(rest)] = known == 0 ? 0 : count / known;
  } else if (known != count) {
    refuse();
  }
  return shape;
}

Window SlideWindow(const Node& node, const Shape& spatial, std::vector<int64_t> kernel) {
  Window window = ReadWindow(node, spatial, std::move(kernel));
  const std::string auto_pad = AutoPad(node);
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  for (size_t i = 0; i < spatial.size(); ++i) {
    const int64_t input = spatial[i];
    const int64_t extent = window.dilations[i] * (window.kernel[i] - 1) + 1;
    if (input < 0 || window.kernel[i] < 0) {
      window.output.push_back(-1);
      continue;
    }
    if (same) {
      const int64_t count = (input + window.strides[i] - 1) / window.strides[i];
      const int64_t total = std::max<int64_t>(0, (count - 1) * window.strides[i] + extent - input);
      const int64_t smaller = total / 2;
      window.pads_begin[i] = auto_pad == "SAME_UPPER" ? smaller : total - smaller;
      window.pads_end[i] = total - window.pads_begin[i];
      window.output.push_back(count);
      continue;
    }
    if (auto_pad == "VALID") window.pads_begin[i] = window.pads_end[i] = 0;
    const int64_t padded = input + window.pads_begin[i] + window.pads_end[i];
    const int64_t count = CountWindows(input, padded, window.pads_begin[i], extent, window.strides[i],
                                       node.Int("ceil_mode", 0) != 0);
    if (count < 1) {
      ThrowNode(node, fmt::format("a kernel of {} does not fit into the padded size {} of spatial axis {}",
                                  extent, padded, i));
    }
    window.output.push_back(count);
  }
  return window;
}

std::optional<WindowCount> CountOverAnySize(const Node& node, const Window& window, size_t axis) {
  if (window.kernel[axis] < 0) return std::nullopt;
  const std::string auto_pad = AutoPad(node);
  const int64_t stride = window.strides[axis];
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") return WindowCount{stride - 1, stride};
  const bool padded = auto_pad == "NOTSET";
  const int64_t begin = padded ? window.pads_begin[axis] : 0, end = padded ? window.pads_end[axis] : 0;
  const int64_t extent = window.dilations[axis] * (window.kernel[axis] - 1) + 1;
  const int64_t least = begin + end - extent + stride;
  if (node.Int("ceil_mode", 0) == 0) return WindowCount{least, stride};
  // The windows that begin before the padding at the end are no fewer than those that fit, less one.
  if (end >= extent) return std::nullopt;
  return WindowCount{std::min(least + stride - 1, begin - 1 + stride), stride};
}

Window TransposedWindow(const Node& node, const Shape& spatial, std::vector<int64_t> kernel) {
  Window window = ReadWindow(node, spatial, std::move(kernel));
  const std::string auto_pad = AutoPad(node);
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  const size_t axes = spatial.size();
  const std::vector<int64_t> extra = WindowAttribute(node, "output_padding", axes, 0, 0);
  const std::vector<int64_t> wanted = node.Ints("output_shape");
  if (!wanted.empty() && wanted.size() < axes)
    ThrowNode(node, "output_shape is shorter than the spatial axes");
  for (size_t i = 0; i < axes; ++i) {
    const int64_t input = spatial[i];
    if (input < 0 || window.kernel[i] < 0) {
      window.output.push_back(-1);
      continue;
    }
    if (input > kLargest) ThrowNode(node, fmt::format("spatial axis {} is too large: {}", i, input));
    const int64_t extent = window.dilations[i] * (window.kernel[i] - 1) + 1;
    const int64_t full = window.strides[i] * (input - 1) + extra[i] + extent;
    if (!wanted.empty() || same) {
      const int64_t size = wanted.empty() ? input * window.strides[i] : wanted[wanted.size() - axes + i];
      const int64_t total = std::max<int64_t>(0, full - size);
      window.pads_begin[i] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      window.pads_end[i] = total - window.pads_begin[i];
      window.output.push_back(size);
    } else {
      if (auto_pad == "VALID") window.pads_begin[i] = window.pads_end[i] = 0;
      window.output.push_back(full - window.pads_begin[i] - window.pads_end[i]);
    }
    if (window.output.back() < 1) ThrowNode(node, fmt::format("spatial axis {} of the output is empty", i));
  }
  return window;
}

std::optional<WindowCount> SizeOverAnySize(const Node& node, const Window& window, size_t axis) {
  if (window.kernel[axis] < 0 || !node.Ints("output_shape").empty()) return std::nullopt;
  const std::string auto_pad = AutoPad(node);
  const int64_t stride = window.strides[axis];
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") return WindowCount{0, stride};
  const std::vector<int64_t> extra = WindowAttribute(node, "output_padding", window.strides.size(), 0, 0);
  const int64_t extent = window.dilations[axis] * (window.kernel[axis] - 1) + 1;
  const int64_t pads = auto_pad == "VALID" ? 0 : window.pads_begin[axis] + window.pads_end[axis];
  return WindowCount{extra[axis] + extent - pads - stride, stride};
}

int64_t Product(const Shape& shape, size_t begin, size_t end) {
  int64_t product = 1;
  for (size_t i = begin; i < end; ++i) product *= shape[i];
  return product;
}

}  // namespace strop::model
