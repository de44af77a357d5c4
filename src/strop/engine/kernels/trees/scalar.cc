#include "strop/engine/kernels/trees/declarations.h"

namespace strop::engine {

// Eight pairs of a tree and a row at a time, so that the loads of one wait beside those of others.
void trees_f32_scalar(const TreeArgs& args) noexcept {
  constexpr int kLanes = 8;
  const int64_t pairs = args.trees * args.rows;
  int64_t tree = 0, row = 0;
  for (int64_t begin = 0; begin < pairs; begin += kLanes) {
    const auto lanes = static_cast<int>(pairs - begin < kLanes ? pairs - begin : kLanes);
    int32_t at[kLanes];
    const float* x[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      at[lane] = lane < lanes ? args.roots[tree] : at[0];
      x[lane] = lane < lanes ? args.x + row * args.stride : x[0];
      if (lane < lanes && ++row == args.rows) {
        row = 0;
        ++tree;
      }
    }
    for (bool moved = true; moved;) {
      moved = false;
      for (int lane = 0; lane < kLanes; ++lane) {
        const TreeNode node = args.nodes[at[lane]];
        const float value = x[lane][node.feature()];
        const bool yes = value <= node.threshold || (node.nan_is_yes() && value != value);
        const auto step = static_cast<int32_t>(node.step() + (yes ? 0 : 1));
        moved |= step != 0;
        at[lane] += step;
      }
    }
    for (int lane = 0; lane < lanes; ++lane) args.leaves[begin + lane] = at[lane];
  }
}

}  // namespace strop::engine
