#include "strop/engine/arena.h"

#include <algorithm>
#include <numeric>

#include "strop/base/tensor.h"

namespace strop::engine {

ArenaLayout PlanArena(const std::vector<Lifetime>& values) {
  const auto aligned = [](size_t bytes) {
    return (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
  };
  ArenaLayout layout;
  layout.offsets.resize(values.size());
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t x, size_t y) { return values[x].bytes > values[y].bytes; });
  std::vector<size_t> placed;  // by offset
  for (const size_t value : order) {
    size_t offset = 0;
    for (const size_t other : placed) {
      const bool together =
          values[other].first <= values[value].last && values[value].first <= values[other].last;
      if (!together) continue;
      if (offset + aligned(values[value].bytes) <= layout.offsets[other]) break;
      offset = std::max(offset, layout.offsets[other] + aligned(values[other].bytes));
    }
    layout.offsets[value] = offset;
    layout.bytes = std::max(layout.bytes, offset + aligned(values[value].bytes));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), value,
                                   [&](size_t x, size_t y) { return layout.offsets[x] < layout.offsets[y]; }),
                  value);
  }
  return layout;
}

}  // namespace strop::engine
