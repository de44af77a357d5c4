#include "strop/tune/pareto.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/rng.h"
#include "strop/tune/ranking.h"

namespace strop::tune {
namespace {

using testing::ElementsAre;
using Rows = std::vector<std::vector<double>>;

Rows RandomRows(size_t count, size_t objectives, uint64_t seed) {
  Rng rng(seed);
  Rows rows(count, std::vector<double>(objectives));
  // Of few values, so that equals occur.
  for (auto& row : rows)
    for (double& x : row) x = static_cast<double>(rng.Below(12));
  return rows;
}

// By the definition: front k is what nothing of the rest dominates once the fronts before are gone.
std::vector<size_t> NaiveRanks(const Rows& rows) {
  std::vector<size_t> ranks(rows.size(), SIZE_MAX);
  for (size_t front = 0, left = rows.size(); left > 0; ++front) {
    std::vector<size_t> members;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (ranks[i] < front) continue;
      bool dominated = false;
      for (size_t j = 0; j < rows.size(); ++j) dominated |= ranks[j] >= front && Dominates(rows[j], rows[i]);
      if (!dominated) members.push_back(i);
    }
    for (size_t i : members) ranks[i] = front;
    left -= members.size();
  }
  return ranks;
}

TEST(ParetoTest, DominatesWhereNowhereWorseAndSomewhereBetter) {
  EXPECT_TRUE(Dominates(std::vector{1.0, 2.0}, std::vector{1.0, 3.0}));
  EXPECT_FALSE(Dominates(std::vector{1.0, 2.0}, std::vector{1.0, 2.0}));
  EXPECT_FALSE(Dominates(std::vector{0.0, 3.0}, std::vector{1.0, 2.0}));
}

TEST(ParetoTest, RanksAreThoseOfTheDefinition) {
  for (size_t objectives : {1u, 2u, 3u, 4u})
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const Rows rows = RandomRows(60, objectives, seed);
      EXPECT_EQ(NonDominatedRanks(rows), NaiveRanks(rows)) << objectives << " " << seed;
    }
}

TEST(ParetoTest, TheEndsOfAFrontAreFarthestFromTheRest) {
  const std::vector<double> distances = CrowdingDistances(Rows{{0, 10}, {1, 4}, {2, 3}, {10, 0}});
  EXPECT_EQ(distances[0], INFINITY);
  EXPECT_EQ(distances[3], INFINITY);
  EXPECT_DOUBLE_EQ(distances[1], 0.2 + 0.7);
  EXPECT_DOUBLE_EQ(distances[2], 0.9 + 0.4);
}

Observation Trial(std::vector<double> losses, std::vector<double> violations = {}) {
  Observation trial;
  trial.losses = std::move(losses);
  trial.violations = std::move(violations);
  return trial;
}

TEST(RankingTest, FeasibleTrialsComeFirstAndFailedOnesNotAtAll) {
  const std::vector<Observation> trials = {Trial({1}, {0.5}), Trial({}), Trial({3}, {-1}), Trial({2}, {0}),
                                           Trial({0}, {0.1, 0.1})};
  EXPECT_THAT(BestFirst(trials), ElementsAre(3, 2, 4, 0));
}

TEST(RankingTest, OfSeveralObjectivesFrontAfterFrontTheLonelyFirst) {
  const std::vector<Observation> trials = {Trial({5, 5}),  Trial({2, 2}), Trial({0, 10}),
                                           Trial({10, 0}), Trial({1, 4}), Trial({6, 6})};
  EXPECT_THAT(BestFirst(trials), ElementsAre(2, 3, 1, 4, 0, 5));
}

}  // namespace
}  // namespace strop::tune
