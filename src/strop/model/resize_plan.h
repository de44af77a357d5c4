#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::model {

// Which sizes Resize makes: one scale an axis of `axes`, and the whole output's shape.
struct ResizePlan {
  std::vector<int64_t> axes;
  std::vector<double> scales;
  Shape output;
};
// From the attributes axes and keep_aspect_ratio_policy, and either `scales` or `sizes`. Every size of
// `input` is known. Throws kInvalidArgument naming the node.
ResizePlan PlanResize(const Node& node, const Shape& input, const std::optional<std::vector<double>>& scales,
                      const std::optional<std::vector<int64_t>>& sizes);

}  // namespace strop::model
