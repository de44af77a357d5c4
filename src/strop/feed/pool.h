#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "strop/base/api.h"

namespace strop::feed {

// Memory of batches: 64-byte aligned blocks that are used again once nothing holds them, so that a steady
// loader neither calls the allocator nor meets fresh pages. Thread safe. A block may outlive the pool's last
// user.
class STROP_API BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  // Blocks beyond `max_idle_bytes` that come back are freed.
  // `node`: where fresh blocks are asked for; without it the kernel's first touch decides.
  static std::shared_ptr<BufferPool> Make(size_t max_idle_bytes, std::optional<int> node = std::nullopt);
  ~BufferPool();

  // Throws std::bad_alloc.
  std::shared_ptr<void> Take(size_t bytes);
  // Frees what is idle, and from now on what comes back.
  void Close() noexcept;

  size_t allocated_blocks() const;  // asked of the allocator so far
  size_t idle_bytes() const;

 private:
  BufferPool(size_t max_idle_bytes, std::optional<int> node) : node_(node), max_idle_bytes_(max_idle_bytes) {}
  void Return(void* block, size_t bytes) noexcept;

  const std::optional<int> node_;
  mutable std::mutex mutex_;
  size_t max_idle_bytes_;
  size_t idle_bytes_ = 0;
  size_t allocated_blocks_ = 0;
  std::unordered_map<size_t, std::vector<void*>> idle_;  // by size: a loader asks for few sizes
};

}  // namespace strop::feed
