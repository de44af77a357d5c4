#pragma once

#include <functional>

#include "strop/base/api.h"

namespace strop::feed {

// While it lives, what takes long in this thread asks `interrupt`, which may throw to end it.
class STROP_API InterruptScope {
 public:
  explicit InterruptScope(const std::function<void()>& interrupt) noexcept;
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
  ~InterruptScope();

 private:
  const std::function<void()>* const before_;
};

// Asks, at most ten times a second; cheap enough for every member of an archive.
STROP_API void CheckInterrupt();

}  // namespace strop::feed
