#include "strop/engine/arena.h"

#include <vector>

#include <gtest/gtest.h>

#include "strop/base/rng.h"

namespace strop::engine {
namespace {

TEST(Arena, ValuesAliveTogetherNeverOverlap) {
  Rng rng(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> values(1 + rng.Below(12));
    size_t sum = 0;
    for (Lifetime& value : values) {
      value.bytes = 1 + rng.Below(1000);
      value.first = rng.Below(8);
      value.last = value.first + rng.Below(4);
      sum += (value.bytes + 63) / 64 * 64;
    }
    const ArenaLayout layout = PlanArena(values);
    EXPECT_LE(layout.bytes, sum);
    for (size_t x = 0; x < values.size(); ++x) {
      EXPECT_EQ(layout.offsets[x] % 64, 0u);
      EXPECT_LE(layout.offsets[x] + values[x].bytes, layout.bytes);
      for (size_t y = x + 1; y < values.size(); ++y) {
        if (values[x].last < values[y].first || values[y].last < values[x].first) continue;
        EXPECT_TRUE(layout.offsets[x] + values[x].bytes <= layout.offsets[y] ||
                    layout.offsets[y] + values[y].bytes <= layout.offsets[x])
            << "round " << round << ": values " << x << " and " << y;
      }
    }
  }
}

TEST(Arena, AChainNeedsOnlyTwoValuesAtATime) {
  const ArenaLayout layout = PlanArena({{100, 0, 1}, {100, 1, 2}, {100, 2, 3}, {100, 3, 4}});
  EXPECT_EQ(layout.bytes, 256u);
}

TEST(Arena, NothingNeedsNothing) { EXPECT_EQ(PlanArena({}).bytes, 0u); }

}  // namespace
}  // namespace strop::engine
