#include "strop/feed/pool.h"

#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace strop::feed {
namespace {

TEST(Pool, BlocksAreAlignedAndUsedAgain) {
  const auto pool = BufferPool::Make(1 << 20);
  void* first = nullptr;
  {
    const auto block = pool->Take(1000);
    first = block.get();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0U);
    EXPECT_EQ(pool->idle_bytes(), 0U);
  }
  EXPECT_EQ(pool->idle_bytes(), 1024U);
  EXPECT_EQ(pool->Take(1000).get(), first);
  EXPECT_EQ(pool->allocated_blocks(), 1U);
}

TEST(Pool, KeepsNoMoreThanItMay) {
  const auto pool = BufferPool::Make(2048);
  {
    const std::vector<std::shared_ptr<void>> blocks = {pool->Take(1024), pool->Take(1024), pool->Take(1024)};
  }
  EXPECT_EQ(pool->idle_bytes(), 2048U);
}

TEST(Pool, ABlockOutlivesThePool) {
  auto pool = BufferPool::Make(1 << 20);
  const auto block = pool->Take(64);
  pool->Close();
  pool.reset();
  static_cast<uint8_t*>(block.get())[63] = 1;
}

TEST(Pool, ServesThreadsAtOnce) {
  const auto pool = BufferPool::Make(1 << 20);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      for (int i = 0; i < 2000; ++i) {
        const auto block = pool->Take(256);
        auto* bytes = static_cast<uint8_t*>(block.get());
        bytes[0] = static_cast<uint8_t>(t);
        bytes[255] = static_cast<uint8_t>(t);
        ASSERT_EQ(bytes[0], t);
        ASSERT_EQ(bytes[255], t);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(pool->allocated_blocks(), 4U);
}

}  // namespace
}  // namespace strop::feed
