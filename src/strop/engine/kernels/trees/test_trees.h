#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "strop/base/rng.h"
#include "strop/model/trees.h"

namespace strop::engine {

inline constexpr model::TreeEnsemble::Mode kOrders[] = {
    model::TreeEnsemble::Mode::kLessEqual, model::TreeEnsemble::Mode::kLess,
    model::TreeEnsemble::Mode::kGreaterEqual, model::TreeEnsemble::Mode::kGreater};

// Thresholds among few values, so that rows meet them exactly; every leaf has its own vote.
inline model::TreeEnsemble RandomTrees(Rng& rng, int count, int depth, int64_t features, int64_t spread = 1) {
  model::TreeEnsemble trees;
  trees.features = features * spread;
  for (int t = 0; t < count; ++t) {
    const auto first = trees.splits.size();
    trees.roots.push_back(static_cast<int32_t>(first));
    std::vector<int> levels = {0};
    for (size_t at = 0; at < levels.size(); ++at) {
      model::TreeEnsemble::Split split;
      if (levels[at] == depth || rng.Below(6) == 0) {
        split.yes = static_cast<int32_t>(trees.votes.size());
        split.no = split.yes + 1;
        trees.votes.push_back({0, rng.Normal()});
      } else {
        split.mode = kOrders[rng.Below(4)];
        split.nan_is_yes = rng.Below(2) == 0;
        split.feature = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(features))) * spread;
        split.threshold = 0.1 * static_cast<double>(rng.Below(9)) - 0.4;
        split.yes = static_cast<int32_t>(first + levels.size());
        split.no = split.yes + 1;
        levels.insert(levels.end(), 2, levels[at] + 1);
      }
      trees.splits.push_back(split);
    }
  }
  return trees;
}

// With values that are no numbers, infinite and on thresholds among them.
inline std::vector<float> RandomRows(Rng& rng, int64_t size) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> x(static_cast<size_t>(size));
  for (float& value : x) {
    const uint64_t kind = rng.Below(12);
    value = kind == 0   ? std::nanf("")
            : kind == 1 ? kInfinity
            : kind == 2 ? -kInfinity
                        : static_cast<float>(0.1 * static_cast<double>(rng.Below(9)) - 0.4);
  }
  return x;
}

}  // namespace strop::engine
