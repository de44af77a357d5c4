#include "strop/feed/global_line.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace strop::feed {
namespace {

std::vector<int64_t> Whole(int64_t n, uint64_t seed) {
  const CounterPermutation permutation(n, seed, 7);
  std::vector<int64_t> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(permutation(i));
  return values;
}

TEST(CounterPermutationTest, IsAPermutationOfEverySize) {
  for (int64_t n = 1; n < 300; ++n) {
    std::vector<int64_t> values = Whole(n, 3);
    std::sort(values.begin(), values.end());
    std::vector<int64_t> all(static_cast<size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(values, all);
  }
}

TEST(CounterPermutationTest, StaysBelowSizesThatNoTableHolds) {
  for (const int64_t n : {int64_t{1} << 40, (int64_t{1} << 40) + 1, int64_t{1} << 62}) {
    const CounterPermutation permutation(n, 1, 2);
    std::set<int64_t> seen;
    for (int64_t i = 0; i < 1000; ++i) seen.insert(permutation(n - 1 - i));
    EXPECT_EQ(seen.size(), 1000U);
    EXPECT_GE(*seen.begin(), 0);
    EXPECT_LT(*seen.rbegin(), n);
  }
}

// Pearson's chi-squared of where each value goes, over 24,000 seeds: its 99.9% quantile at (n - 1)^2 degrees
// of freedom, which are those of a doubly stochastic table, by the approximation of Wilson and Hilferty
// (1931).
TEST(CounterPermutationTest, PutsEveryValueEverywhereEquallyOften) {
  for (const int64_t n : {2, 3, 5, 16, 33}) {
    constexpr int kSeeds = 24000;
    std::vector<int> counts(static_cast<size_t>(n * n));
    for (int seed = 0; seed < kSeeds; ++seed) {
      const auto values = Whole(n, static_cast<uint64_t>(seed));
      for (int64_t i = 0; i < n; ++i) ++counts[static_cast<size_t>(i * n + values[static_cast<size_t>(i)])];
    }
    const double expected = static_cast<double>(kSeeds) / static_cast<double>(n);
    double squared = 0;
    for (const int count : counts) squared += (count - expected) * (count - expected) / expected;
    const double freedom = static_cast<double>((n - 1) * (n - 1));
    const double cube = 1 - 2 / (9 * freedom) + 3.09 * std::sqrt(2 / (9 * freedom));
    // Rows and columns of the table have fixed sums, which stretches the statistic by n / (n - 1).
    EXPECT_LT(squared * static_cast<double>(n - 1) / static_cast<double>(n), freedom * cube * cube * cube)
        << n;
  }
}

// All 24 orders of 4 values, equally often: the 99.9% quantile of chi-squared with 23 degrees of freedom
// is 49.73.
TEST(CounterPermutationTest, GivesEveryOrderOfFew) {
  std::map<std::vector<int64_t>, int> orders;
  for (int seed = 0; seed < 24000; ++seed) ++orders[Whole(4, static_cast<uint64_t>(seed))];
  ASSERT_EQ(orders.size(), 24U);
  double squared = 0;
  for (const auto& [order, count] : orders) squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(squared, 49.73);
}

TEST(CounterPermutationTest, NeighboursGoApart) {
  constexpr int64_t kRows = 100000;
  const auto values = Whole(kRows, 11);
  // The correlation of successive places is 0 within four standard errors, and so is that of a value and its
  // place.
  double successive = 0, place = 0, square = 0;
  const double mean = (kRows - 1) / 2.0;
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    const double here = static_cast<double>(values[i]) - mean;
    successive += here * (static_cast<double>(values[i + 1]) - mean);
    place += here * (static_cast<double>(i) - mean);
    square += here * here;
  }
  const double bound = 4 / std::sqrt(static_cast<double>(kRows));
  EXPECT_LT(std::abs(successive / square), bound);
  EXPECT_LT(std::abs(place / square), bound);
}

OrderOptions Options(std::vector<int64_t> chunk_rows, std::vector<Group> groups = {}) {
  OrderOptions options;
  options.chunk_rows = std::move(chunk_rows);
  options.groups = std::move(groups);
  options.shuffle = options.global = true;
  options.seed = 5;
  return options;
}

TEST(GlobalLineTest, HasEveryRowOnce) {
  const GlobalLine line(Options({3, 0, 7, 1, 20}), 4);
  ASSERT_EQ(line.rows(), 31);
  std::set<std::pair<int64_t, int64_t>> rows;
  for (int64_t i = 0; i < line.rows(); ++i) rows.insert({line.At(i).chunk, line.At(i).row});
  EXPECT_EQ(rows.size(), 31U);
  EXPECT_FALSE(rows.contains({1, 0}));
  EXPECT_TRUE(rows.contains({4, 19}));
}

TEST(GlobalLineTest, DiffersByEpochAndSeed) {
  auto options = Options({1000});
  const auto places = [&](uint64_t epoch) {
    const GlobalLine line(options, epoch);
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < line.rows(); ++i) rows.push_back(line.At(i).row);
    return rows;
  };
  const auto first = places(0);
  EXPECT_EQ(first, places(0));
  EXPECT_NE(first, places(1));
  options.seed = 6;
  EXPECT_NE(first, places(0));
}

// Weights 1 and 3 of 10 and 30 rows' 40: 10 and 30 an epoch. Of 30 and 10 rows: 10 and 30, so that the first
// goes on where it stopped, and the second is passed three times.
TEST(GlobalLineTest, AMixtureGoesOnWhereTheEpochBeforeStopped) {
  const auto options = Options({30, 10}, {{0, 1, 1}, {1, 1, 3}});
  std::map<std::pair<int64_t, int64_t>, int> times;
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    const GlobalLine line(options, epoch);
    ASSERT_EQ(line.rows(), 40);
    int of_first = 0;
    for (int64_t i = 0; i < line.rows(); ++i) {
      const auto place = line.At(i);
      of_first += place.chunk == 0;
      ++times[{place.chunk, place.row}];
    }
    EXPECT_EQ(of_first, 10);
  }
  for (int64_t row = 0; row < 30; ++row) EXPECT_EQ((times[{0, row}]), 1) << row;
  for (int64_t row = 0; row < 10; ++row) EXPECT_EQ((times[{1, row}]), 9) << row;
}

}  // namespace
}  // namespace strop::feed
