#include "strop/engine/pool.h"

#include <atomic>
#include <new>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace strop::engine
