// Epochs that are interrupted and go on with other workers, ranks and batch sizes, read from real files.

#include <algorithm>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/rng.h"
#include "strop/feed/loader.h"
#include "strop/feed/test_files.h"

namespace strop::feed {
namespace {

class ResumeTest : public testing::Test {
 protected:
  ResumeTest() {
    test::WriteParquetFile(folder_ / "a.parquet", *test::MakeTable(0, 100), 16);
    test::WriteParquetFile(folder_ / "b.parquet", *test::MakeTable(100, 57), 5);
    test::WriteArrowFile(folder_ / "c.arrow", *test::MakeTable(157, 40), 16);
    options_.columns = {"id", "score"};
    options_.shuffle = true;
    options_.window = 3;
    options_.seed = 5;
  }

  void UseMixture() {
    options_.sources = {{{(folder_ / "a.parquet").string()}, 1},
                        {{(folder_ / "b.parquet").string()}, 3},
                        {{(folder_ / "c.arrow").string()}, 2}};
  }
  void UseOneSource() {
    options_.sources = {{{(folder_ / "a.parquet").string(), (folder_ / "b.parquet").string()}}};
  }

  // All rows shuffled with each other, which takes files whose rows are read one by one.
  void UseGlobalOrder(bool mixture) {
    options_.order = Order::kGlobal;
    test::WriteArrowFile(folder_ / "d.arrow", *test::MakeTable(197, 30), 7);
    const std::string c = folder_ / "c.arrow", d = folder_ / "d.arrow";
    if (mixture) {
      options_.sources = {{{c}, 1}, {{d}, 2}};
    } else {
      options_.sources = {{{c, d}}};
    }
  }

  // At most `most` batches' ids, each row checked against its id; the state afterwards.
  static LoaderState Read(Loader& loader, int64_t most, std::map<int64_t, int>& given) {
    while (most-- > 0) {
      const LoaderState before = loader.state();
      const auto batch = loader.Next();
      if (!batch) return before;  // still of this epoch
      const auto ids = batch->tensors.at("id").As<int64_t>();
      const auto scores = batch->tensors.at("score").As<float>();
      for (size_t i = 0; i < ids.size(); ++i) {
        EXPECT_EQ(scores[i], static_cast<float>(ids[i]) / 2);
        ++given[ids[i]];
      }
    }
    return loader.state();
  }

  // One epoch in parts, each on other ranks, workers and batch sizes; what was given out in all.
  std::map<int64_t, int> ReadInParts(Rng& rng) {
    std::map<int64_t, int> given;
    std::optional<LoaderState> state;
    for (int part = 0; part < 4; ++part) {
      options_.world_size = 1 + static_cast<int>(rng.Below(4));
      options_.batch_size = 1 + static_cast<int64_t>(rng.Below(20));
      options_.workers = 1 + static_cast<int>(rng.Below(3));
      const int64_t most = part == 3 ? 1000 : static_cast<int64_t>(rng.Below(4));
      std::optional<LoaderState> furthest;
      for (options_.rank = 0; options_.rank < options_.world_size; ++options_.rank) {
        const auto loader = Loader::Open(options_);
        if (state) loader->Restore(LoaderState::FromJson(state->ToJson()));
        const LoaderState after = Read(*loader, most, given);
        if (!furthest || after.now.batches > furthest->now.batches) furthest = after;
      }
      EXPECT_LT(furthest->ToJson().size(), 1024U);
      state = furthest;
    }
    options_.rank = 0;
    return given;
  }

  std::map<int64_t, int> ReadWhole() {
    options_.rank = 0;
    options_.world_size = 1;
    std::map<int64_t, int> given;
    Read(*Loader::Open(options_), 1 << 20, given);
    return given;
  }

  test::Folder folder_;
  LoaderOptions options_;
};

TEST_F(ResumeTest, NoRowIsLostOrRepeatedAtAnyChangeOfRanksWorkersAndBatchSize) {
  options_.uneven = Uneven::kRagged;
  Rng rng(3);
  for (const bool mixture : {false, true}) {
    mixture ? UseMixture() : UseOneSource();
    const auto whole = ReadWhole();
    for (int trial = 0; trial < 15; ++trial) EXPECT_EQ(ReadInParts(rng), whole) << "trial " << trial;
  }
}

TEST_F(ResumeTest, NoRowIsLostOrRepeatedInGlobalOrder) {
  options_.uneven = Uneven::kRagged;
  Rng rng(4);
  for (const bool mixture : {false, true}) {
    UseGlobalOrder(mixture);
    const auto whole = ReadWhole();
    for (int trial = 0; trial < 15; ++trial) EXPECT_EQ(ReadInParts(rng), whole) << "trial " << trial;
  }
}

TEST_F(ResumeTest, TheEpochAfterAResumedOneIsWhole) {
  UseOneSource();
  options_.batch_size = 10;
  options_.world_size = 2;
  std::map<int64_t, int> given;
  const LoaderState state = Read(*Loader::Open(options_), 3, given);
  options_.world_size = 1;
  const auto loader = Loader::Open(options_);
  loader->Restore(state);
  EXPECT_EQ(loader->batches(), 10);  // 157 - 2 * 30 rows
  while (loader->Next()) continue;
  EXPECT_EQ(loader->batches(), 16);
  EXPECT_TRUE(loader->state().done.empty());
  std::map<int64_t, int> next;
  Read(*loader, 1000, next);
  EXPECT_EQ(next.size(), 157U);
}

TEST_F(ResumeTest, AnEpochThatOthersFinishedHasNothingLeft) {
  UseOneSource();
  options_.batch_size = 10;
  std::map<int64_t, int> given;
  const LoaderState state = Read(*Loader::Open(options_), 16, given);
  options_.world_size = 3;
  const auto loader = Loader::Open(options_);
  loader->Restore(state);
  EXPECT_EQ(loader->batches(), 0);
  EXPECT_FALSE(loader->Next());
  EXPECT_TRUE(loader->Next()) << "the next epoch";
}

TEST_F(ResumeTest, SetEpochOfTheSameEpochBeginsItWhole) {
  UseOneSource();
  options_.batch_size = 10;
  std::map<int64_t, int> given;
  const LoaderState state = Read(*Loader::Open(options_), 3, given);
  options_.world_size = 2;
  const auto loader = Loader::Open(options_);
  loader->Restore(state);
  loader->SetEpoch(0);
  EXPECT_EQ(loader->batches(), 8);
  EXPECT_TRUE(loader->state().done.empty());
}

TEST_F(ResumeTest, MoreRanksThanRowsAreAnErrorOnlyWhenTheyWouldGetNone) {
  UseOneSource();
  options_.world_size = 200;
  options_.rank = 199;
  EXPECT_EQ(Loader::Open(options_)->batches(), 1);
  options_.uneven = Uneven::kRagged;
  EXPECT_EQ(Loader::Open(options_)->batches(), 0);
  options_.uneven = Uneven::kDrop;
  try {
    Loader::Open(options_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), testing::HasSubstr("157 rows for 200 ranks"));
  }
}

}  // namespace
}  // namespace strop::feed
