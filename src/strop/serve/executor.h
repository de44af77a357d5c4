#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/threads.h"

namespace strop::serve {

// Threads that take tasks in order from a bounded queue. Tasks must not throw. Thread safe.
class STROP_API Executor {
 public:
  Executor(const std::string& name, int threads, size_t queue_limit);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor();  // Stop

  // Never blocks; false when the queue is full or stopped (the task is dropped).
  bool Post(std::function<void()> task) { return tasks_.TryPush(std::move(task)); }
  // Finishes what is queued, takes nothing more, joins. A second call does nothing.
  void Stop();
  size_t waiting() const { return tasks_.size(); }

 private:
  Channel<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
};

}  // namespace strop::serve
