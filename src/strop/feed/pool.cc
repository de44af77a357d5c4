#include "strop/feed/pool.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "strop/base/tensor.h"
#include "strop/feed/workers/placement.h"

namespace strop::feed {

std::shared_ptr<BufferPool> BufferPool::Make(size_t max_idle_bytes, std::optional<int> node) {
  return std::shared_ptr<BufferPool>(new BufferPool(max_idle_bytes, node));
}

BufferPool::~BufferPool() { Close(); }

std::shared_ptr<void> BufferPool::Take(size_t bytes) {
  const size_t size =
      (std::max<size_t>(bytes, 1) + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
  void* block = nullptr;
  {
    std::lock_guard lock(mutex_);
    auto& blocks = idle_[size];
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
      idle_bytes_ -= size;
    } else {
      ++allocated_blocks_;
    }
  }
  if (block == nullptr) {
    block = std::aligned_alloc(kTensorAlignment, size);
    if (block == nullptr) throw std::bad_alloc();
    if (node_) PreferNode(block, size, *node_);
  }
  return {block, [pool = shared_from_this(), size](void* p) { pool->Return(p, size); }};
}

void BufferPool::Return(void* block, size_t bytes) noexcept {
  try {
    std::lock_guard lock(mutex_);
    if (idle_bytes_ + bytes <= max_idle_bytes_) {
      idle_[bytes].push_back(block);
      idle_bytes_ += bytes;
      return;
    }
  } catch (const std::bad_alloc&) {
    // No room to note the block down: it is freed.
  }
  std::free(block);
}

void BufferPool::Close() noexcept {
  std::lock_guard lock(mutex_);
  max_idle_bytes_ = 0;
  idle_bytes_ = 0;
  for (auto& [size, blocks] : idle_) {
    for (void* block : blocks) std::free(block);
    blocks.clear();
  }
}

size_t BufferPool::allocated_blocks() const {
  std::lock_guard lock(mutex_);
  return allocated_blocks_;
}

size_t BufferPool::idle_bytes() const {
  std::lock_guard lock(mutex_);
  return idle_bytes_;
}

}  // namespace strop::feed
