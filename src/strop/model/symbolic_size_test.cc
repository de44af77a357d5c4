#include "strop/model/symbolic_size.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "strop/base/rng.h"

namespace strop::model {
namespace {

using Sizes = std::array<int64_t, 3>;

SymbolicSize N(int64_t number) { return SymbolicSize::Number(number); }
const SymbolicSize kA = SymbolicSize::Named("a"), kB = SymbolicSize::Named("b");

int64_t At(const SymbolicSize& size, const Sizes& sizes) {
  return size.At([&](const std::string& name) { return sizes[static_cast<size_t>(name[0] - 'a')]; });
}

int64_t FloorOver(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

TEST(SymbolicSize, IsOfOneForm) {
  EXPECT_EQ((kA + N(1)).Over(2).Text(), "((a+1)/2)");
  EXPECT_EQ((kA + N(5)).Over(2), (kA + N(1)).Over(2) + N(2));
  EXPECT_EQ(((kA + N(1)).Over(2) + N(1)).Over(2), (kA + N(3)).Over(4));
  EXPECT_EQ((N(6) * kA * kB + N(3)).Over(4), kA * kB + (kB * kA * N(2) + N(3)).Over(4));
  EXPECT_EQ((N(6) * kA + N(5)).Over(4).Text(), "((a)/2)+a+1");
  EXPECT_EQ((kA + kB) * (kB + kA), kA * kA + N(2) * kA * kB + kB * kB);
  EXPECT_EQ((kA * N(4)).Over(4), kA);
  EXPECT_EQ((kA * N(4) + N(7)).Over(4), kA + N(1));
  EXPECT_EQ((kA + N(-3)).Text(), "a-3");
  EXPECT_EQ(*(kA + N(0)).name(), "a");
  EXPECT_EQ((kA + N(1)).name(), nullptr);
  EXPECT_EQ((kA * N(0) + N(7)).number(), 7);
}

TEST(SymbolicSize, DividesOnlyWithoutARest) {
  EXPECT_EQ((kA * kB * N(12)).Quotient(kB * N(4)), kA * N(3));
  EXPECT_EQ((kA * kB + kA).Quotient(kA), kB + N(1));
  EXPECT_EQ((kA + N(1)).Quotient(kA + N(1)), N(1));
  EXPECT_FALSE((kA * N(6)).Quotient(N(4)).known());
  EXPECT_FALSE((kA * kA).Quotient(kB).known());
  EXPECT_FALSE((kA * kB + N(1)).Quotient(kA).known());
  EXPECT_FALSE(kA.Quotient(N(0)).known());
  EXPECT_FALSE(N(0).Quotient(N(0)).known());
}

TEST(SymbolicSize, UnknownOnesAreEqualToNone) {
  EXPECT_FALSE(SymbolicSize() == SymbolicSize());
  EXPECT_FALSE((kA + SymbolicSize()).known());
  EXPECT_FALSE((SymbolicSize() * N(0)).known());
  EXPECT_FALSE((N(INT64_MAX) * kA + kA).known());
  SymbolicSize long_one = N(0);
  for (int i = 0; i < 100; ++i) long_one = (long_one + SymbolicSize::Named("a" + std::to_string(i))) * kA;
  EXPECT_FALSE(long_one.known());
}

TEST(SymbolicSize, BeyondSixtyFourBitsIsTheLargest) {
  EXPECT_EQ(At(kA * kB, {int64_t{1} << 40, int64_t{1} << 40, 1}), INT64_MAX);
  EXPECT_EQ(At((kA * kB).Over(2) + N(1), {int64_t{1} << 40, int64_t{1} << 40, 1}), INT64_MAX);
}

// What is made of random sizes by random steps has their value; and rises where it says so.
TEST(SymbolicSize, HasTheValueOfWhatItIsMadeOf) {
  const std::vector<Sizes> places = {{1, 1, 1}, {2, 3, 5}, {7, 1, 4}, {64, 33, 12}, {1009, 640, 100}};
  Rng rng(7);
  size_t known = 0, rising = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::pair<SymbolicSize, std::vector<int64_t>>> made;
    for (size_t i = 0; i < 3; ++i) {
      made.push_back({SymbolicSize::Named(std::string(1, static_cast<char>('a' + i))), {}});
      for (const Sizes& place : places) made.back().second.push_back(place[i]);
    }
    for (int step = 0; step < 7; ++step) {
      const auto x = made[rng.Below(made.size())], y = made[rng.Below(made.size())];
      const auto number = static_cast<int64_t>(rng.Below(9)) - 3;
      auto next = x;
      switch (rng.Below(5)) {
        case 0:
          next.first = x.first + y.first;
          for (size_t i = 0; i < places.size(); ++i) next.second[i] += y.second[i];
          break;
        case 1:
          next.first = x.first * y.first;
          for (size_t i = 0; i < places.size(); ++i) next.second[i] *= y.second[i];
          break;
        case 2:
          next.first = x.first + N(number);
          for (int64_t& value : next.second) value += number;
          break;
        case 3:
          next.first = x.first.Over(std::abs(number) + 1);
          for (int64_t& value : next.second) value = FloorOver(value, std::abs(number) + 1);
          break;
        default:
          next.first = (x.first * y.first).Quotient(y.first);
          if (!next.first.known()) break;
          EXPECT_EQ(next.first, x.first);
      }
      const bool large = std::any_of(next.second.begin(), next.second.end(),
                                     [](int64_t value) { return std::abs(value) > 1 << 30; });
      if (!next.first.known() || large) continue;
      ++known;
      for (size_t i = 0; i < places.size(); ++i)
        ASSERT_EQ(At(next.first, places[i]), next.second[i]) << next.first.Text() << " at " << i;
      if (next.first.rising()) {
        ++rising;
        for (const size_t i : {size_t{1}, size_t{3}}) EXPECT_GE(next.second[i], next.second[0]);
      }
      made.push_back(std::move(next));
    }
  }
  EXPECT_GT(known, 10000u);
  EXPECT_GT(rising, 5000u);
}

}  // namespace
}  // namespace strop::model
