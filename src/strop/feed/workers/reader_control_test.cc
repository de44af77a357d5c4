#include "strop/feed/workers/reader_control.h"

#include <algorithm>
#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace strop::feed {
namespace {

using Time = ReaderControl::Time;

Time At(double seconds) {
  return Time(std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(seconds)));
}

// Chunks of 100 rows from a storage that gives `rate(readers)` rows a second, to a consumer that waits all or
// none of the time.
int Simulate(ReaderControl& control, double until, bool waits, const std::function<double(int)>& rate) {
  if (waits) control.WaitBegins(At(0));
  for (double now = 0; now < until;) {
    now += 100 / rate(control.readers());
    control.ChunkDone(100, 0.01, 0.001, At(now));
  }
  return control.readers();
}

TEST(ReaderControlTest, AFixedNumberStays) {
  ReaderControl control(3);
  EXPECT_EQ(Simulate(control, 5, true, [](int n) { return 1e4 * n; }), 3);
  EXPECT_EQ(control.reason(), "");
}

TEST(ReaderControlTest, ReadersAreAddedUpToTheKnee) {
  ReaderControl control({.cpus = 4, .start = 1});
  EXPECT_EQ(Simulate(control, 9, true, [](int n) { return std::min(1e4 * n, 5e4); }), 5);
  EXPECT_NE(control.reason(), "");
}

TEST(ReaderControlTest, AConsumerThatNeverWaitsGetsNoMore) {
  ReaderControl control({.cpus = 4, .start = 2});
  EXPECT_LE(Simulate(control, 9, false, [](int) { return 5e3; }), 2);
  EXPECT_NE(control.reason().find("consumer bounds"), std::string::npos) << control.reason();
}

TEST(ReaderControlTest, AWaitThatLastsOverManyIntervalsIsCounted) {
  ReaderControl control({.cpus = 4, .start = 1});
  control.WaitBegins(At(0));
  for (int i = 0; i < 40; ++i) control.ChunkDone(100, 0.01, 0, At(0.05 * i));
  EXPECT_GT(control.readers(), 0);
  EXPECT_EQ(control.reason().find("never waits"), std::string::npos) << control.reason();
}

}  // namespace
}  // namespace strop::feed
