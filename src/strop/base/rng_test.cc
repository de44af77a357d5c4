#include "strop/base/rng.h"

#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace strop {
namespace {

using Block = std::array<uint32_t, 4>;

// Random123's known answers, file tests/kat_vectors, lines "philox4x32 10".
TEST(RngTest, PhiloxGivesTheKnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RngTest, DrawsAreTheBlocksInOrder) {
  Rng rng(0);
  EXPECT_EQ(rng(), 0xe169c58d6627e8d5u);
  EXPECT_EQ(rng(), 0x9b00dbd8bc57ac4cu);
  EXPECT_EQ(rng.position(), 2u);
}

TEST(RngTest, SeekReachesAnyDraw) {
  Rng rng(7, 3);
  std::vector<uint64_t> draws;
  for (int i = 0; i < 101; ++i) draws.push_back(rng());
  for (const uint64_t position : {100u, 0u, 57u, 58u}) {
    Rng other(7, 3);
    other.Seek(position);
    EXPECT_EQ(other(), draws[position]);
  }
}

TEST(RngTest, SeedsAndStreamsDiffer) {
  std::set<uint64_t> firsts;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    for (uint64_t stream = 0; stream < 50; ++stream) firsts.insert(Rng(seed, stream)());
  }
  EXPECT_EQ(firsts.size(), 2500u);
  EXPECT_NE(MixSeed(1, 2), MixSeed(2, 1));
}

TEST(RngTest, UniformFillsTheUnitInterval) {
  Rng rng(11);
  double sum = 0;
  std::vector<int> bins(10);
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const double u = rng.Uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    ++bins[static_cast<size_t>(u * 10)];
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * std::sqrt(1.0 / 12 / kDraws));
  double chi2 = 0;
  for (const int bin : bins) chi2 += (bin - kDraws / 10.0) * (bin - kDraws / 10.0) / (kDraws / 10.0);
  EXPECT_LT(chi2, 27.9);  // 0.999 quantile of chi-square with 9 degrees of freedom
}

TEST(RngTest, BelowStaysBelowAndIsEven) {
  Rng rng(5);
  std::vector<int> counts(7);
  for (int i = 0; i < 70'000; ++i) ++counts[rng.Below(7)];
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
  EXPECT_EQ(rng.Below(1), 0u);
  // Just above half of the range, where taking a remainder would favour small numbers by two to one.
  const uint64_t n = (uint64_t{1} << 63) + 1;
  int low = 0;
  for (int i = 0; i < 10'000; ++i) low += rng.Below(n) < n / 2 ? 1 : 0;
  EXPECT_NEAR(low, 5'000, 250);
}

TEST(RngTest, NormalHasItsMomentsAndTakesTwoDraws) {
  Rng rng(3);
  double sum = 0, squares = 0, fourth = 0;
  constexpr int kDraws = 200'000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = rng.Normal();
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_EQ(rng.position(), 2u * kDraws);
  EXPECT_NEAR(sum / kDraws, 0, 0.012);
  EXPECT_NEAR(squares / kDraws, 1, 0.016);
  EXPECT_NEAR(fourth / kDraws, 3, 0.12);
}

}  // namespace
}  // namespace strop
