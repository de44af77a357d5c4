#include "strop/feed/interrupt.h"

#include <chrono>
#include <utility>

namespace strop::feed {
namespace {

using Clock = std::chrono::steady_clock;

thread_local const std::function<void()>* asked = nullptr;
thread_local Clock::time_point last;

}  // namespace

InterruptScope::InterruptScope(const std::function<void()>& interrupt) noexcept
    : before_(std::exchange(asked, &interrupt)) {}

InterruptScope::~InterruptScope() { asked = before_; }

void CheckInterrupt() {
  if (asked == nullptr || !*asked) return;
  const auto now = Clock::now();
  if (now - last < std::chrono::milliseconds(100)) return;
  last = now;
  (*asked)();
}

}  // namespace strop::feed
