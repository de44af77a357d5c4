#pragma once

#include <cstdint>

namespace strop::engine {

// One node of packed trees, whose children lie side by side: a row goes `step` nodes on where x[feature] <=
// threshold, else one more. A leaf has step 0 and keeps every row.
struct TreeNode {
  static constexpr uint32_t kStepBits = 19, kFeatureBits = 12;
  static constexpr uint32_t kSteps = 1u << kStepBits, kFeatures = 1u << kFeatureBits;
  static constexpr uint32_t kNanIsYes = 0x80000000u;

  float threshold;
  uint32_t packed;  // from the lowest bit on: step, feature, and whether a row goes `step` on where x is NaN

  uint32_t step() const noexcept { return packed & (kSteps - 1); }
  uint32_t feature() const noexcept { return (packed >> kStepBits) & (kFeatures - 1); }
  bool nan_is_yes() const noexcept { return (packed & kNanIsYes) != 0; }
};
static_assert(sizeof(TreeNode) == 8);

// Which leaf each of `rows` rows ends in, in each of `trees` trees.
struct TreeArgs {
  const float* x = nullptr;  // [rows, stride]; rows * stride < 2^31
  int64_t rows = 0, stride = 0;
  const TreeNode* nodes = nullptr;
  const int32_t* roots = nullptr;  // indices of nodes
  int64_t trees = 0;
  int32_t* leaves = nullptr;  // [trees, rows]: indices of nodes
};
using TreeFn = void (*)(const TreeArgs& args) noexcept;

}  // namespace strop::engine
