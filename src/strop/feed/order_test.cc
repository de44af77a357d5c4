#include "strop/feed/order.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/rng.h"

namespace strop::feed {
namespace {

// Global row numbers that a rank reads in an epoch, in order, from the order's own parts.
std::vector<int64_t> RowsInOrder(const OrderOptions& options, uint64_t epoch,
                                 const std::vector<Part>& done = {}) {
  std::vector<int64_t> starts(options.chunk_rows.size(), 0);
  std::partial_sum(options.chunk_rows.begin(), options.chunk_rows.end() - 1, starts.begin() + 1);
  const EpochOrder order(options, epoch, done);
  std::vector<int64_t> rows(static_cast<size_t>(order.rows()), -1);
  for (const Window& window : order.windows()) {
    const auto to = order.line().Destinations(window.line);
    int64_t i = 0;
    for (const Segment& segment : order.line().windows()[window.line].segments) {
      for (int64_t row = segment.begin; row < segment.end; ++row, ++i) {
        const int64_t place = window.first + (to.empty() ? i : to[static_cast<size_t>(i)]);
        if (place < window.begin || place >= window.end) continue;
        EXPECT_EQ(rows[static_cast<size_t>(place)], -1) << "two rows in one place";
        rows[static_cast<size_t>(place)] = starts[static_cast<size_t>(segment.chunk)] + row;
      }
    }
  }
  return rows;
}

OrderOptions Shuffled(std::vector<int64_t> chunk_rows, uint64_t seed, int window) {
  return {std::move(chunk_rows), true, seed, window, 0, {}};
}

struct Case {
  std::vector<int64_t> chunk_rows;
  int window;
  int world_size;
};

class OrderProperty : public testing::TestWithParam<Case> {};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  const std::vector<std::vector<int64_t>> layouts = {
      {1},      {7}, {10, 10, 10, 10, 3}, {1, 0, 5, 0, 13, 2}, {100, 1, 1, 1, 1}, std::vector<int64_t>(37, 5),
      {0, 0, 9}};
  for (const auto& layout : layouts) {
    for (const int window : {1, 2, 8}) {
      for (const int world_size : {1, 2, 3, 5, 8}) cases.push_back({layout, window, world_size});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Layouts, OrderProperty, testing::ValuesIn(Cases()));

TEST_P(OrderProperty, NoRowIsLostOrRepeatedBeyondWhatUnevenSays) {
  const auto& [chunk_rows, window, world_size] = GetParam();
  const int64_t total = std::accumulate(chunk_rows.begin(), chunk_rows.end(), int64_t{0});
  for (const bool shuffle : {false, true}) {
    for (const Uneven uneven : {Uneven::kRepeat, Uneven::kRagged, Uneven::kDrop}) {
      for (const uint64_t epoch : {0, 1, 5}) {
        std::map<int64_t, int> seen;
        std::set<int64_t> lengths;
        for (int rank = 0; rank < world_size; ++rank) {
          const OrderOptions options{chunk_rows, shuffle, 42, window, rank, {world_size, uneven}};
          const auto rows = RowsInOrder(options, epoch);
          EXPECT_EQ(static_cast<int64_t>(rows.size()), RankRows(total, rank, world_size, uneven));
          lengths.insert(static_cast<int64_t>(rows.size()));
          for (const int64_t row : rows) ++seen[row];
        }
        EXPECT_FALSE(seen.contains(-1)) << "a place stayed empty";
        int64_t given = 0;
        for (const auto& [row, count] : seen) given += count;
        if (uneven == Uneven::kRagged) {
          EXPECT_EQ(static_cast<int64_t>(seen.size()), total);
          EXPECT_EQ(given, total);
          EXPECT_LE(*lengths.rbegin() - *lengths.begin(), 1);
        } else {
          EXPECT_EQ(lengths.size(), 1U) << "ranks have different numbers of rows";
        }
        if (uneven == Uneven::kRepeat) {
          EXPECT_EQ(static_cast<int64_t>(seen.size()), total);
          EXPECT_LT(given - total, world_size);
        }
        if (uneven == Uneven::kDrop) {
          EXPECT_EQ(static_cast<int64_t>(seen.size()), given) << "a row came twice";
          EXPECT_LT(total - given, world_size);
        }
      }
    }
  }
}

TEST(Order, WithoutShuffleRowsComeAsTheyLie) {
  const auto rows = RowsInOrder({{3, 4, 5}, false, 1, 8, 0, {}}, 3);
  EXPECT_THAT(rows, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

TEST(Order, EpochSeedAndNothingElseChangesTheShuffle) {
  const OrderOptions options = Shuffled(std::vector<int64_t>(20, 50), 7, 4);
  OrderOptions other = options;
  other.seed = 8;
  EXPECT_EQ(RowsInOrder(options, 0), RowsInOrder(options, 0));
  EXPECT_NE(RowsInOrder(options, 0), RowsInOrder(options, 1));
  EXPECT_NE(RowsInOrder(options, 0), RowsInOrder(other, 0));
}

// A window of all chunks is a full shuffle: over many epochs every row comes first equally often. 4000 draws
// of 8 rows, chi-square with 7 degrees of freedom, 24.3 is its 99.9% quantile.
TEST(Order, AWindowOfEverythingIsUniform) {
  std::vector<double> first(8, 0);
  for (uint64_t epoch = 0; epoch < 4000; ++epoch) {
    ++first[static_cast<size_t>(RowsInOrder(Shuffled({4, 4}, 3, 8), epoch)[0])];
  }
  double chi_square = 0;
  for (const double count : first) chi_square += (count - 500) * (count - 500) / 500;
  EXPECT_LT(chi_square, 24.3);
}

TEST(Order, ARankReadsAtMostTwoWindowsInPart) {
  for (int rank = 0; rank < 4; ++rank) {
    OrderOptions options = Shuffled(std::vector<int64_t>(23, 10), 1, 4);
    options.rank = rank;
    options.share.world_size = 4;
    const EpochOrder order(options, 0);
    int partial = 0;
    for (const Window& window : order.windows()) {
      partial += window.end - window.begin != order.line().windows()[window.line].rows;
    }
    EXPECT_LE(partial, 2);
  }
}

TEST(Order, TheLineIsTheSameForAnyNumberOfRanks) {
  OrderOptions options = Shuffled({10, 0, 7, 33, 5, 5, 21}, 3, 2);
  const auto alone = RowsInOrder(options, 4);
  for (const int world_size : {2, 3, 8, 100}) {
    options.share = {world_size, Uneven::kRagged};
    std::vector<int64_t> together;
    for (options.rank = 0; options.rank < world_size; ++options.rank) {
      const auto rows = RowsInOrder(options, 4);
      together.insert(together.end(), rows.begin(), rows.end());
    }
    EXPECT_EQ(together, alone) << world_size;
  }
}

TEST(Order, MoreRanksThanRowsRepeatRows) {
  OrderOptions options = Shuffled({2, 1}, 3, 2);
  options.share.world_size = 8;
  std::map<int64_t, int> seen;
  for (options.rank = 0; options.rank < 8; ++options.rank) {
    const auto rows = RowsInOrder(options, 0);
    ASSERT_EQ(rows.size(), 1U);
    ++seen[rows[0]];
  }
  EXPECT_EQ(seen.size(), 3U);
}

OrderOptions Mixed(bool shuffle) {
  OrderOptions options = Shuffled(std::vector<int64_t>(60, 10), 5, 6);
  options.shuffle = shuffle;
  options.groups = {{0, 10, 1}, {10, 30, 2}, {40, 20, 3}};  // 100, 300 and 200 rows; 600 in all
  return options;
}

int64_t GroupOf(int64_t row) { return row < 100 ? 0 : row < 400 ? 1 : 2; }

// Any sequence of changes of ranks, batch size and uneven within an epoch, each after every rank gave out so
// many batches.
TEST(Order, NoRowIsLostOrRepeatedWhenAnEpochGoesOnUnderOtherShares) {
  Rng rng(11);
  for (int trial = 0; trial < 400; ++trial) {
    const bool mixture = trial % 2 == 1;
    OrderOptions options = mixture ? Mixed(trial % 4 == 1) : Shuffled({10, 0, 7, 33, 5, 5, 21}, 3, 2);
    const auto epoch = rng.Below(5);
    std::map<int64_t, int> expected, given;
    for (const int64_t row : RowsInOrder(options, epoch)) ++expected[row];
    std::vector<Part> done;
    for (int part = 0; part < 4; ++part) {
      const bool last = part == 3;
      options.share.world_size = 1 + static_cast<int>(rng.Below(9));
      options.share.batch_size = 1 + static_cast<int64_t>(rng.Below(7));
      options.share.uneven = Uneven::kRagged;
      const auto batches = last ? int64_t{1} << 20 : static_cast<int64_t>(rng.Below(6));
      for (options.rank = 0; options.rank < options.share.world_size; ++options.rank) {
        const auto rows = RowsInOrder(options, epoch, done);
        const auto end =
            std::min<int64_t>(batches * options.share.batch_size, static_cast<int64_t>(rows.size()));
        for (int64_t i = 0; i < end; ++i) ++given[rows[static_cast<size_t>(i)]];
      }
      done.push_back({options.share, batches});
    }
    ASSERT_EQ(given, expected) << "trial " << trial;
    options.rank = 0;
    EXPECT_TRUE(RowsInOrder(options, epoch, done).empty());
  }
}

// With repeat and drop nothing is lost by a change either: what was repeated or dropped before stays undone
// or open.
TEST(Order, ARepeatedRowIsNotCountedAsGivenAndADroppedOneIsGivenLater) {
  for (const Uneven uneven : {Uneven::kRepeat, Uneven::kDrop}) {
    OrderOptions options = Shuffled({7, 6, 4}, 3, 2);
    std::map<int64_t, int> given;
    options.share = {4, uneven, 2};
    for (options.rank = 0; options.rank < 4; ++options.rank) {
      const auto rows = RowsInOrder(options, 1);
      for (size_t i = 0; i < 2; ++i) ++given[rows[i]];
    }
    const std::vector<Part> done = {{options.share, 1}};
    options.rank = 0;
    options.share = {1, Uneven::kRagged, 2};
    for (const int64_t row : RowsInOrder(options, 1, done)) ++given[row];
    EXPECT_EQ(given.size(), 17U);
    for (const auto& [row, count] : given) EXPECT_EQ(count, 1) << row;
  }
}

TEST(Order, AMixtureGivesEachSourceItsShareEverywhere) {
  for (const bool shuffle : {true, false}) {
    const OrderOptions options = Mixed(shuffle);
    for (const uint64_t epoch : {0, 1, 7}) {
      const auto rows = RowsInOrder(options, epoch);
      ASSERT_EQ(rows.size(), 600U);
      std::vector<int64_t> total(3, 0);
      // Every tenth of the epoch holds the sources about as 1 : 2 : 3; chunks of 10 rows are not cut.
      for (size_t tenth = 0; tenth < 10; ++tenth) {
        std::vector<int64_t> part(3, 0);
        for (size_t i = 60 * tenth; i < 60 * (tenth + 1); ++i) ++part[static_cast<size_t>(GroupOf(rows[i]))];
        for (size_t g = 0; g < 3; ++g) {
          EXPECT_NEAR(static_cast<double>(part[g]), 10.0 * static_cast<double>(g + 1), 10.0)
              << shuffle << tenth;
          total[g] += part[g];
        }
      }
      EXPECT_THAT(total, testing::ElementsAre(100, 200, 300));
    }
  }
}

// A source with more rows than its share goes on where it stopped; one with fewer begins anew.
TEST(Order, EpochsOfAMixturePassItsSourcesEvenly) {
  const OrderOptions options = Mixed(true);
  std::vector<int> seen(600, 0);
  for (uint64_t epoch = 0; epoch < 6; ++epoch) {
    for (const int64_t row : RowsInOrder(options, epoch)) ++seen[static_cast<size_t>(row)];
  }
  for (int64_t row = 0; row < 600; ++row) {  // 6 epochs: 600 of 100 rows, 1200 of 300, 1800 of 200
    EXPECT_EQ(seen[static_cast<size_t>(row)], GroupOf(row) == 0 ? 6 : GroupOf(row) == 1 ? 4 : 9) << row;
  }
}

TEST(Order, WithoutWeightsAMixtureGivesEachRowOnce) {
  OrderOptions options = Mixed(false);
  for (Group& group : options.groups) group.weight = 0;
  const auto rows = RowsInOrder(options, 2);
  EXPECT_EQ(std::set<int64_t>(rows.begin(), rows.end()).size(), 600U);
  EXPECT_EQ(rows.size(), 600U);
}

TEST(Order, ShuffleQualityIsOneForAFullShuffleAndFallsWithTheWindow) {
  OrderOptions options = Shuffled(std::vector<int64_t>(64, 100), 1, 64);
  options.share.batch_size = 50;
  EXPECT_DOUBLE_EQ(ShuffleQuality(options), 1);
  // A batch of 50 out of 8 chunks touches 8 (1 - (7/8)^50) = 7.99 of them, out of 64 chunks 64 (1 -
  // (63/64)^50) = 34.8.
  options.window = 8;
  EXPECT_NEAR(ShuffleQuality(options), 7.99 / 34.8, 1e-3);
  options.window = 1;
  EXPECT_NEAR(ShuffleQuality(options), 1 / 34.8, 1e-3);
  options.shuffle = false;
  EXPECT_EQ(ShuffleQuality(options), 0);
}

TEST(Order, FingerprintTellsWhatDecidesTheLine) {
  const OrderOptions options = Mixed(true);
  OrderOptions rank = options, share = options, seed = options, layout = options, weight = options;
  rank.rank = 1;
  share.share = {2, Uneven::kDrop, 9, true};
  seed.seed = 8;
  layout.chunk_rows[0] = 11;
  weight.groups[1].weight = 2.5;
  EXPECT_EQ(options.Fingerprint(), rank.Fingerprint());
  EXPECT_EQ(options.Fingerprint(), share.Fingerprint());
  EXPECT_NE(options.Fingerprint(), seed.Fingerprint());
  EXPECT_NE(options.Fingerprint(), layout.Fingerprint());
  EXPECT_NE(options.Fingerprint(), weight.Fingerprint());
}

TEST(Order, BatchCountRoundsUpUnlessTheLastIsDropped) {
  EXPECT_EQ(BatchCount(10, 4, false), 3);
  EXPECT_EQ(BatchCount(10, 4, true), 2);
  EXPECT_EQ(BatchCount(3, 4, true), 0);
  EXPECT_EQ(BatchCount(8, 4, false), 2);
}

}  // namespace
}  // namespace strop::feed
