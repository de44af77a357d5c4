#include "strop/feed/stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strop::feed {
namespace {

TEST(Stats, PercentilesInterpolate) {
  StatsRecorder recorder;
  for (int i = 0; i <= 100; ++i) recorder.Add(StatsRecorder::kDecode, i);
  const LoaderStats stats = recorder.Summary(1);
  EXPECT_DOUBLE_EQ(stats.decode.p50, 50);
  EXPECT_DOUBLE_EQ(stats.decode.p95, 95);
  EXPECT_DOUBLE_EQ(stats.decode.p99, 99);
}

TEST(Stats, TheVerdictNamesTheSlowestStage) {
  StatsRecorder decode;
  decode.Add(StatsRecorder::kRead, 1);
  decode.Add(StatsRecorder::kDecode, 3);
  decode.Add(StatsRecorder::kCopy, 1);
  decode.Add(StatsRecorder::kWait, 1);
  decode.AddConsumer(1);
  decode.AddRows(100);
  EXPECT_THAT(decode.Summary(2).verdict, testing::StartsWith("decode bounds: 60%"));
  EXPECT_DOUBLE_EQ(decode.Summary(2).waiting_share, 0.5);
  EXPECT_DOUBLE_EQ(decode.Summary(2).rows_per_second, 50);
  decode.AddConsumer(98);
  EXPECT_THAT(decode.Summary(2).verdict, testing::StartsWith("consumer bounds: it waits 1.0%"));
}

TEST(Stats, NothingReadIsSaid) { EXPECT_EQ(StatsRecorder().Summary(1).verdict, "nothing was read yet"); }

}  // namespace
}  // namespace strop::feed
