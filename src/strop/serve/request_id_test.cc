#include "strop/serve/request_id.h"

#include <cmath>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace strop::serve {
namespace {

TEST(NewRequestId, NeverRepeats) {
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(seen.insert(NewRequestId()).second);
}

TEST(UnitHash, IsUniformAndIndependentOfOtherSalts) {
  constexpr int kIds = 20'000;
  int low = 0, low_of_low = 0;
  for (int i = 0; i < kIds; ++i) {
    const std::string id = fmt::format("request-{}", i);
    const double first = UnitHash(id, 1);
    ASSERT_GE(first, 0);
    ASSERT_LT(first, 1);
    if (first < 0.1) {
      ++low;
      if (UnitHash(id, 2) < 0.1) ++low_of_low;
    }
  }
  // Five standard deviations of the binomial counts.
  EXPECT_NEAR(low, 0.1 * kIds, 5 * std::sqrt(kIds * 0.1 * 0.9));
  EXPECT_NEAR(low_of_low, 0.1 * low, 5 * std::sqrt(low * 0.1 * 0.9));
}

TEST(UnitHash, DependsOnEveryByte) {
  EXPECT_NE(UnitHash("abcdefghi", 1), UnitHash("abcdefghj", 1));
  EXPECT_NE(UnitHash("a", 1), UnitHash(std::string("a\0", 2), 1));
  EXPECT_EQ(UnitHash("a", 1), UnitHash("a", 1));
}

}  // namespace
}  // namespace strop::serve
