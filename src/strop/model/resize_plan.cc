#include "strop/model/resize_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/text.h"

namespace strop::model {
namespace {

// One scale for all axes, so that the output is at most, or at least, of the wanted sizes. Halves round up.
void KeepAspect(const Node& node, const std::string& policy, const Shape& input, ResizePlan& plan) {
  if (policy != "not_larger" && policy != "not_smaller")
    ThrowNode(node, fmt::format("keep_aspect_ratio_policy \"{}\"", Printable(policy)));
  const auto [least, most] = std::minmax_element(plan.scales.begin(), plan.scales.end());
  const double scale = policy == "not_larger" ? *least : *most;
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    const auto axis = static_cast<size_t>(plan.axes[i]);
    plan.scales[i] = scale;
    plan.output[axis] = static_cast<int64_t>(std::floor(scale * static_cast<double>(input[axis]) + 0.5));
  }
}

}  // namespace

ResizePlan PlanResize(const Node& node, const Shape& input, const std::optional<std::vector<double>>& scales,
                      const std::optional<std::vector<int64_t>>& sizes) {
  const auto rank = static_cast<int64_t>(input.size());
  ResizePlan plan{.axes = node.Ints("axes"), .scales = {}, .output = input};
  if (plan.axes.empty()) {
    plan.axes.resize(input.size());
    std::iota(plan.axes.begin(), plan.axes.end(), 0);
  }
  NormalAxes(node, plan.axes, rank);
  const size_t given = sizes ? sizes->size() : scales ? scales->size() : 0;
  if (given != plan.axes.size())
    ThrowNode(node, fmt::format("{} scales or sizes for {} axes", given, plan.axes.size()));
  constexpr double kLargest = INT32_MAX;
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    plan.axes[i] = NormalAxis(node, plan.axes[i], rank);
    const auto axis = static_cast<size_t>(plan.axes[i]);
    const auto length = static_cast<double>(input[axis]);
    const double scale = sizes ? static_cast<double>((*sizes)[i]) / length : (*scales)[i];
    if (!(scale > 0) || !(scale * length < kLargest))
      ThrowNode(node, fmt::format("axis {} of {} is scaled by {}", axis, input[axis], scale));
    plan.scales.push_back(scale);
    // float32 scales, whose product with a whole size is cut off.
    plan.output[axis] = sizes ? (*sizes)[i] : static_cast<int64_t>(std::floor(scale * length));
  }
  const std::string policy = node.Text("keep_aspect_ratio_policy", "stretch");
  if (sizes && policy != "stretch") KeepAspect(node, policy, input, plan);
  return plan;
}

}  // namespace strop::model
