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

// Chunks of 100 rows that readers take in turn from a storage that gives `rate(readers)` rows a second, to a
// consumer that waits all or none of the time.
int Simulate(ReaderControl& control, double until, bool waits, const std::function<double(int)>& rate) {
  if (waits) control.WaitBegins(At(0));
  size_t reader = 0;
  for (double now = 0; now < until;) {
    now += 100 / rate(control.readers());
    control.ChunkDone(reader, 100, 0.01, 0.001, At(now));
    reader = (reader + 1) % static_cast<size_t>(control.readers());
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

// 50 ms a chunk, whatever the readers, who all come back at once.
TEST(ReaderControlTest, ReadersInStepAreNotNoise) {
  ReaderControl control({.cpus = 2, .start = 1, .most = 64});
  control.WaitBegins(At(0));
  for (double now = 0.05; now < 10; now += 0.05) {
    const int readers = control.readers();
    for (int reader = 0; reader < readers; ++reader)
      control.ChunkDone(static_cast<size_t>(reader), 100, 0.05, 0, At(now + 1e-4 * reader));
  }
  EXPECT_GE(control.readers(), 61) << control.reason();
  EXPECT_GT(control.settled_seconds(), 0);
  EXPECT_LT(control.settled_seconds(), 10);
}

TEST(ReaderControlTest, AConsumerThatNeverWaitsGetsNoMore) {
  ReaderControl control({.cpus = 4, .start = 2});
  EXPECT_LE(Simulate(control, 9, false, [](int) { return 5e3; }), 2);
  EXPECT_NE(control.reason().find("consumer bounds"), std::string::npos) << control.reason();
}

TEST(ReaderControlTest, AWaitThatLastsOverManyIntervalsIsCounted) {
  ReaderControl control({.cpus = 4, .start = 1});
  control.WaitBegins(At(0));
  for (int i = 0; i < 40; ++i) control.ChunkDone(0, 100, 0.01, 0, At(0.05 * i));
  EXPECT_GT(control.readers(), 0);
  EXPECT_EQ(control.reason().find("never waits"), std::string::npos) << control.reason();
}

}  // namespace
}  // namespace strop::feed
