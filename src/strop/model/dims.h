#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"

// Arithmetic on sizes that the shape rules and the reference evaluator share. A size of -1 is unknown and
// makes what depends on it unknown. Everything throws kInvalidArgument naming the node for what the
// specification forbids.
namespace strop::model {

// "node conv1 (Conv): message".
[[noreturn]] void ThrowNode(const Node& node, const std::string& message);

// Axis in [-rank, rank) as [0, rank).
int64_t NormalAxis(const Node& node, int64_t axis, int64_t rank);
// The same for a list, sorted; an axis given twice is refused.
std::vector<int64_t> NormalAxes(const Node& node, std::vector<int64_t> axes, int64_t rank);

// Multidirectional broadcasting (ONNX docs/Broadcasting.md).
Shape BroadcastShapes(const Node& node, const Shape& a, const Shape& b);

// The target of Reshape: 0 copies from the input unless allow_zero, one -1 is what is left.
Shape ReshapeTarget(const Node& node, const Shape& input, const std::vector<int64_t>& target,
                    bool allow_zero);

// Where a sliding window lies over the spatial axes: Conv, pooling. One entry an axis.
struct Window {
  std::vector<int64_t> kernel, strides, dilations, pads_begin, pads_end, output;
};
// From the attributes strides, dilations, pads, auto_pad, ceil_mode. `spatial` is the input without N and C.
STROP_API Window SlideWindow(const Node& node, const Shape& spatial, std::vector<int64_t> kernel);

// How many windows there are over an axis of any size that has one: (size + offset) / stride, rounded down.
struct WindowCount {
  int64_t offset, stride;
};
// Of the window's axis, whose size SlideWindow did not know; nullopt where no such numbers tell.
std::optional<WindowCount> CountOverAnySize(const Node& node, const Window& window, size_t axis);

// The same for ConvTranspose: `spatial` is its (smaller) input; output_padding and output_shape count too.
Window TransposedWindow(const Node& node, const Shape& spatial, std::vector<int64_t> kernel);
// Of its axis of a size that TransposedWindow did not know: size * stride + offset.
std::optional<WindowCount> SizeOverAnySize(const Node& node, const Window& window, size_t axis);

// Product of shape[begin, end).
int64_t Product(const Shape& shape, size_t begin, size_t end);

}  // namespace strop::model
