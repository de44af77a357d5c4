#include "strop/feed/workers/governor.h"

#include <algorithm>
#include <functional>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

using testing::HasSubstr;
constexpr double kInterval = 0.1;

// Throughput by readers and time; what the consumer takes at most.
struct World {
  std::function<double(int, double)> storage;
  double consumer = 1e18;
  double noise = 0.01;
  double decode = 0;
};

class Simulation {
 public:
  Simulation(Governor::Options options, World world, unsigned seed = 0)
      : governor_(options), world_(std::move(world)), random_(seed) {}

  // Runs until that simulated time; remembers when it first settled after `from` and the most readers used.
  void Until(double time) {
    while (time_ < time) {
      const int readers = governor_.advice().readers;
      const double able = world_.storage(readers, time_) * (1 + world_.noise * normal_(random_));
      const double rate = std::min(able, world_.consumer);
      time_ += kInterval;
      const bool was = governor_.advice().settled;
      governor_.Observe({time_, readers, rate * kInterval, able < world_.consumer ? 0.5 : 0, world_.decode});
      most_ = std::max(most_, governor_.advice().readers);
      if (!was && governor_.advice().settled) settled_ = time_;
    }
  }
  Governor& governor() { return governor_; }
  double settled() const { return settled_; }
  int most() const { return most_; }
  int readers() const { return governor_.advice().readers; }

 private:
  Governor governor_;
  World world_;
  std::mt19937 random_;
  std::normal_distribution<double> normal_;
  double time_ = 0;
  double settled_ = -1;
  int most_ = 0;
};

struct Sweep {
  double best = 0;
  int knee = 1;
};
Sweep Exhaust(const std::function<double(int)>& storage, int limit) {
  Sweep out;
  for (int n = 1; n <= limit; ++n) out.best = std::max(out.best, storage(n));
  while (storage(out.knee) < 0.95 * out.best) ++out.knee;
  return out;
}

struct Storage {
  const char* name;
  std::function<double(int)> at;
};

std::vector<Storage> Storages() {
  return {
      {"page cache, memory bound at 3", [](int n) { return std::min(4000.0 * n, 12000.0); }},
      {"bandwidth cap below one reader", [](int) { return 200.0; }},
      {"bandwidth cap at 5.5 readers", [](int n) { return std::min(100.0 * n, 550.0); }},
      // 50 ms and 1 MB a read: 20 MB/s a reader, of a link of 390 MB/s.
      {"50 ms a read", [](int n) { return std::min(20.0 * n, 390.0); }},
      {"50 ms a read, no cap", [](int n) { return 20.0 * n; }},
      {"disk that seeks",
       [](int n) {
         return Scaling{100, 0.1, 0.08, 0}.At(n);
       }},
  };
}

TEST(Governor, EndsWithinATwentiethOfTheSweepsBestInTenSeconds) {
  for (const auto& storage : Storages()) {
    for (unsigned seed = 0; seed < 20; ++seed) {
      SCOPED_TRACE(testing::Message() << storage.name << ", seed " << seed);
      const Sweep sweep = Exhaust(storage.at, 32);
      Simulation run({.cpus = 8, .most = 32}, {[&](int n, double) { return storage.at(n); }, 1e18, 0.01},
                     seed);
      run.Until(10);
      EXPECT_TRUE(run.governor().advice().settled);
      EXPECT_LT(run.settled(), 10);
      EXPECT_GE(storage.at(run.readers()), 0.95 * sweep.best) << run.governor().advice().reason;
      EXPECT_LE(run.readers(), sweep.knee) << run.governor().advice().reason;
      EXPECT_LE(run.most(), 32);
    }
  }
}

TEST(Governor, FiveTimesTheNoiseStillEndsNearTheBestInTime) {
  for (const auto& storage : Storages()) {
    for (unsigned seed = 0; seed < 20; ++seed) {
      SCOPED_TRACE(testing::Message() << storage.name << ", seed " << seed);
      const Sweep sweep = Exhaust(storage.at, 32);
      Simulation run({.cpus = 8, .most = 32}, {[&](int n, double) { return storage.at(n); }, 1e18, 0.05},
                     seed);
      run.Until(10);
      EXPECT_GE(run.settled(), 0);
      EXPECT_GE(storage.at(run.readers()), 0.85 * sweep.best) << run.governor().advice().reason;
    }
  }
}

// 3 readers give 95.01% of the best, which no measurement with 1% of noise tells from less than 95%.
TEST(Governor, AKneeOnTheEdgeOfTheToleranceCostsAtMostOneReaderMore) {
  const auto at = [](int n) { return Scaling{100, 0.1, 0.05, 0}.At(n); };
  const Sweep sweep = Exhaust(at, 32);
  for (unsigned seed = 0; seed < 20; ++seed) {
    Simulation run({.cpus = 8, .most = 32}, {[&](int n, double) { return at(n); }, 1e18, 0.01}, seed);
    run.Until(10);
    EXPECT_GE(at(run.readers()), 0.95 * sweep.best) << seed;
    EXPECT_LE(run.readers(), sweep.knee + 1) << seed;
  }
}

// Up to 64 readers of a storage that only waits: 60 give 93.8% of the best and 61 give 95.3%.
TEST(Governor, TheLawDecidesWhereOneLevelsNoiseWouldReachTheTolerance) {
  const auto at = [](int n) { return 20.0 * n; };
  for (unsigned seed = 0; seed < 20; ++seed) {
    Simulation run({.cpus = 2, .most = 64}, {[&](int n, double) { return at(n); }, 1e18, 0.01}, seed);
    run.Until(10);
    const int knee = Exhaust(at, run.governor().limit()).knee;
    EXPECT_TRUE(run.readers() == knee || run.readers() == knee + 1) << run.readers() << ", " << seed;
  }
}

TEST(Governor, TheSameObservationsGiveTheSameAnswers) {
  const World world{[](int n, double) { return std::min(20.0 * n, 250.0); }, 1e18, 0.05};
  Simulation a({.cpus = 8}, world, 3), b({.cpus = 8}, world, 3);
  for (double time = 1; time < 60; ++time) {
    a.Until(time);
    b.Until(time);
    ASSERT_EQ(a.readers(), b.readers());
    ASSERT_EQ(a.governor().advice().reason, b.governor().advice().reason);
  }
}

TEST(Governor, AStorageThatChangesHalfwayIsFollowed) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const auto at = [](int n, double time) { return std::min(100.0 * n, time < 20 ? 1020.0 : 350.0); };
    Simulation run({.cpus = 8, .most = 32}, {at}, seed);
    run.Until(19);
    EXPECT_EQ(run.readers(), 10);
    run.Until(31);
    EXPECT_TRUE(run.governor().advice().settled);
    EXPECT_EQ(run.readers(), 4) << run.governor().advice().reason;
  }
}

TEST(Governor, ACapThatRisesIsFoundByTheRecheck) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const auto at = [](int n, double time) { return std::min(100.0 * n, time < 20 ? 350.0 : 1020.0); };
    Simulation run({.cpus = 8, .most = 32}, {at}, seed);
    run.Until(19);
    EXPECT_EQ(run.readers(), 4);
    run.Until(60);
    EXPECT_EQ(run.readers(), 10) << run.governor().advice().reason;
  }
}

TEST(Governor, RechecksDoNotWanderOff) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    Simulation run({.cpus = 8, .most = 32}, {[](int n, double) { return std::min(100.0 * n, 550.0); }}, seed);
    for (double time = 10; time < 400; time += 5) {
      run.Until(time);
      if (run.governor().advice().settled) {
        EXPECT_EQ(run.readers(), 6) << time;
      }
    }
  }
}

TEST(Governor, AConsumerThatNeverWaitsGetsNoMoreReaders) {
  Governor governor({.cpus = 8});
  for (int i = 0; i < 100; ++i) governor.Observe({i * 0.1, governor.advice().readers, 5, 0});
  EXPECT_EQ(governor.advice().readers, 1);
  EXPECT_THAT(governor.advice().reason, HasSubstr("consumer bounds"));
  // It speeds up and waits: more are tried.
  for (int i = 100; i < 200; ++i)
    governor.Observe({i * 0.1, governor.advice().readers, 10.0 * governor.advice().readers, 0.5});
  EXPECT_GT(governor.advice().readers, 8);
}

TEST(Governor, AProbesKneeThatIsTooHighComesDown) {
  Simulation run({.cpus = 8, .start = 16}, {[](int n, double) { return std::min(100.0 * n, 350.0); }});
  run.Until(10);
  EXPECT_EQ(run.readers(), 4);
}

TEST(Governor, DecodingNeverGetsMoreReadersThanCpus) {
  Simulation run({.cpus = 6}, {[](int n, double) { return 100.0 * n; }, 1e18, 0.01, 0.9});
  run.Until(10);
  EXPECT_EQ(run.readers(), 6);
  EXPECT_LE(run.most(), 6);
  Simulation capped({.cpus = 6, .most = 3}, {[](int n, double) { return 100.0 * n; }});
  capped.Until(10);
  EXPECT_EQ(capped.readers(), 3);
}

TEST(Governor, NothingDeliveredAsksForNothing) {
  Governor governor({.cpus = 4});
  for (int i = 0; i < 100; ++i) governor.Observe({i * 0.1, governor.advice().readers, 0, 1});
  EXPECT_TRUE(governor.advice().settled);
  EXPECT_THAT(governor.advice().reason, HasSubstr("nothing was delivered"));
}

TEST(Governor, OptionsThatMakeNoSenseAreRefused) {
  EXPECT_THROW(Governor({.cpus = 0}), Error);
  EXPECT_THROW(Governor({.tolerance = 1}), Error);
}

}  // namespace
}  // namespace strop::feed
