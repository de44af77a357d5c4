#include "strop/feed/order.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strop::feed {
namespace {

// Global row numbers that a rank reads in an epoch, in order, from the order's own parts.
std::vector<int64_t> RowsInOrder(const OrderOptions& options, uint64_t epoch) {
  std::vector<int64_t> starts(options.chunk_rows.size(), 0);
  std::partial_sum(options.chunk_rows.begin(), options.chunk_rows.end() - 1, starts.begin() + 1);
  const EpochOrder order(options, epoch);
  std::vector<int64_t> rows(static_cast<size_t>(order.rows()), -1);
  for (size_t w = 0; w < order.windows().size(); ++w) {
    const auto to = order.Destinations(w);
    int64_t i = 0;
    for (const Segment& segment : order.windows()[w].segments) {
      for (int64_t row = segment.begin; row < segment.end; ++row, ++i) {
        const int64_t place = order.windows()[w].first + (to.empty() ? i : to[static_cast<size_t>(i)]);
        rows[static_cast<size_t>(place)] = starts[static_cast<size_t>(segment.chunk)] + row;
      }
    }
  }
  return rows;
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
          OrderOptions options{chunk_rows, shuffle, 42, window, rank, world_size, uneven};
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
  const auto rows = RowsInOrder({{3, 4, 5}, false, 1, 8, 0, 1, Uneven::kRepeat}, 3);
  EXPECT_THAT(rows, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

TEST(Order, EpochSeedAndNothingElseChangesTheShuffle) {
  const OrderOptions options{std::vector<int64_t>(20, 50), true, 7, 4, 0, 1, Uneven::kRepeat};
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
    ++first[static_cast<size_t>(RowsInOrder({{4, 4}, true, 3, 8, 0, 1, Uneven::kRepeat}, epoch)[0])];
  }
  double chi_square = 0;
  for (const double count : first) chi_square += (count - 500) * (count - 500) / 500;
  EXPECT_LT(chi_square, 24.3);
}

TEST(Order, ARankReadsAtMostTwoChunksInPart) {
  for (int rank = 0; rank < 4; ++rank) {
    const EpochOrder order({std::vector<int64_t>(23, 10), true, 1, 4, rank, 4, Uneven::kRepeat}, 0);
    int partial = 0;
    for (const auto& window : order.windows()) {
      for (const auto& segment : window.segments) partial += segment.rows() != 10;
    }
    EXPECT_LE(partial, 2);
  }
}

TEST(Order, FingerprintTellsWhatDecidesTheOrder) {
  const OrderOptions options{{10, 20}, true, 7, 4, 0, 2, Uneven::kRepeat, 8, false};
  OrderOptions rank = options, seed = options, batch = options, layout = options;
  rank.rank = 1;
  seed.seed = 8;
  batch.batch_size = 9;
  layout.chunk_rows = {20, 10};
  EXPECT_EQ(options.Fingerprint(), rank.Fingerprint());
  EXPECT_NE(options.Fingerprint(), seed.Fingerprint());
  EXPECT_NE(options.Fingerprint(), batch.Fingerprint());
  EXPECT_NE(options.Fingerprint(), layout.Fingerprint());
}

TEST(Order, BatchCountRoundsUpUnlessTheLastIsDropped) {
  EXPECT_EQ(BatchCount(10, 4, false), 3);
  EXPECT_EQ(BatchCount(10, 4, true), 2);
  EXPECT_EQ(BatchCount(3, 4, true), 0);
  EXPECT_EQ(BatchCount(8, 4, false), 2);
}

}  // namespace
}  // namespace strop::feed
