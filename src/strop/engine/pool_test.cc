#include "strop/engine/pool.h"

#include <atomic>
#include <chrono>
#include <ctime>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/threads.h"
#include "strop/base/topology.h"

namespace strop::engine {
namespace {

TEST(ThreadPool, EveryIndexOnceForSeveralCallersAtATime) {
  ThreadPool pool(3);
  EXPECT_EQ(pool.threads(), 3);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int64_t count = 0; count < 100; ++count) {
        std::vector<std::atomic<int>> hits(static_cast<size_t>(count));
        pool.Run(count, [&](int64_t index) { ++hits[static_cast<size_t>(index)]; });
        for (const auto& hit : hits) wrong += hit != 1;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ThreadPool, OneThreadIsTheCaller) {
  ThreadPool pool(1);
  const std::thread::id self = std::this_thread::get_id();
  pool.Run(5, [&](int64_t) { EXPECT_EQ(std::this_thread::get_id(), self); });
}

TEST(ThreadPool, WhatABodyThrowsReachesTheCallerAfterAllHaveEnded) {
  ThreadPool pool(3);
  std::atomic<int> ended{0};
  const auto body = [&](int64_t index) {
    ++ended;
    if (index % 3 == 0) throw std::bad_alloc();
  };
  EXPECT_THROW(pool.Run(100, body), std::bad_alloc);
  EXPECT_EQ(ended, 100);
}

TEST(ThreadPool, WithoutWorkersTooAllEndBeforeWhatABodyThrowsReachesTheCaller) {
  ThreadPool pool(1);
  int ended = 0;
  const auto body = [&](int64_t index) {
    ++ended;
    if (index == 1) throw std::bad_alloc();
  };
  EXPECT_THROW(pool.Run(3, body), std::bad_alloc);
  EXPECT_EQ(ended, 3);
  EXPECT_THROW(pool.Run(1, [](int64_t) { throw std::bad_alloc(); }), std::bad_alloc);
  pool.Run(0, [](int64_t) { FAIL(); });
}

// Each caller goes in and out of scopes, two deep, so that jobs find workers that spin, that are about to
// sleep and that sleep.
TEST(ThreadPool, TinyJobsOfSeveralCallersInAndOutOfScopes) {
  constexpr int kJobs = 3000;
  ThreadPool pool(4);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0}, caught{0};
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&, caller] {
      std::unique_ptr<ThreadPool::Busy> outer, inner;
      for (int job = 0; job < kJobs; ++job) {
        if (job % 50 == 0) outer = std::make_unique<ThreadPool::Busy>(pool);
        if (job % 50 == 10) inner = std::make_unique<ThreadPool::Busy>(pool);
        if (job % 50 == 20) outer.reset();
        if (job % 50 == 30) inner.reset();
        const int64_t count = 1 + job % 5;
        int hits[5] = {};
        const bool fails = job % 7 == caller;
        try {
          pool.Run(count, [&](int64_t index) {
            ++hits[index];
            if (fails && index == count - 1) throw std::bad_alloc();
          });
          wrong += fails;
        } catch (const std::bad_alloc&) {
          wrong += !fails;
          ++caught;
        }
        for (int64_t index = 0; index < count; ++index) wrong += hits[index] != 1;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(caught, 3 * (kJobs / 7));
}

// CPUs that each of the pool's threads may run on, the caller's too.
std::vector<std::vector<int>> CpusOfAll(ThreadPool& pool) {
  std::vector<std::vector<int>> cpus(static_cast<size_t>(pool.threads()));
  std::atomic<int> come{0};
  pool.Run(pool.threads(), [&](int64_t index) {
    cpus[static_cast<size_t>(index)] = AffinityCpus();
    ++come;
    while (come < pool.threads()) std::this_thread::yield();  // so that each thread takes one
  });
  return cpus;
}

TEST(ThreadPool, WorkersRunWhereTheirMakerMay) {
  const std::vector<int> all = AffinityCpus();
  ThreadPool free(UsableCpus() + 1);
  EXPECT_THAT(CpusOfAll(free), testing::Each(all));
  std::thread([&] {
    if (!BindThread({all.back()})) return;  // where the system forbids it there is nothing to see
    ThreadPool bound(3);
    EXPECT_THAT(CpusOfAll(bound), testing::Each(std::vector<int>{all.back()}));
  }).join();
}

// The processor time of the process while nothing runs.
double IdleSeconds() {
  const std::clock_t begin = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

TEST(ThreadPool, NoWorkerSpinsForLongNorOutsideAScope) {
  ThreadPool pool(4);
  {
    const ThreadPool::Busy busy(pool);
    pool.Run(8, [](int64_t) {});
    EXPECT_LT(IdleSeconds(), 0.025);  // a spinning worker takes 0.05
  }
  pool.Run(8, [](int64_t) {});
  EXPECT_LT(IdleSeconds(), 0.025);
}

TEST(ThreadPool, ABodyMayRunAJobOfItsOwn) {
  ThreadPool pool(3);
  const ThreadPool::Busy busy(pool);
  std::atomic<int> ended{0};
  pool.Run(6, [&](int64_t) { pool.Run(6, [&](int64_t) { ++ended; }); });
  EXPECT_EQ(ended, 36);
}

}  // namespace
}  // namespace strop::engine
