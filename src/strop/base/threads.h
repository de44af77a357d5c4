#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "strop/base/api.h"

namespace strop {

// CPUs this process may use: affinity and cgroup quota (v1 and v2) respected, at least 1.
STROP_API int UsableCpus();

// Names the calling thread in debuggers and traces (15 bytes).
STROP_API void NameThread(const std::string& name) noexcept;

// Binds the calling thread; processes that it starts inherit it. False, with a debug log, where the system
// forbids it. Allocates nothing when it succeeds: a new thread that binds itself first gets its heap on the
// node that it is bound to.
STROP_API bool BindThread(const std::vector<int>& cpus);

// A bounded queue between threads that carries an end and an error across them. All members are thread safe.
template <class T>
class Channel {
 public:
  explicit Channel(size_t capacity) : capacity_(capacity) {}

  // Blocks while full; false when closed (the value is dropped).
  bool Push(T value) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || queue_.size() < capacity_; });
    if (closed_) return false;
    queue_.push_back(std::move(value));
    item_.notify_one();
    return true;
  }
  // Never blocks; false when full or closed (the value is dropped).
  bool TryPush(T value) {
    std::lock_guard lock(mutex_);
    if (closed_ || queue_.size() >= capacity_) return false;
    queue_.push_back(std::move(value));
    item_.notify_one();
    return true;
  }
  // Blocks while empty; nullopt once closed and drained; rethrows the error given to Fail.
  std::optional<T> Pop() {
    std::unique_lock lock(mutex_);
    item_.wait(lock, [&] { return closed_ || !queue_.empty(); });
    if (queue_.empty()) {
      if (error_) std::rethrow_exception(error_);
      return std::nullopt;
    }
    T value = std::move(queue_.front());
    queue_.pop_front();
    room_.notify_one();
    return value;
  }
  void Close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    room_.notify_all();
    item_.notify_all();
  }
  void Fail(std::exception_ptr error) {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    closed_ = true;
    room_.notify_all();
    item_.notify_all();
  }
  size_t size() const {
    std::lock_guard lock(mutex_);
    return queue_.size();
  }

 private:
  const size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable room_, item_;
  std::deque<T> queue_;
  bool closed_ = false;
  std::exception_ptr error_;
};

}  // namespace strop
