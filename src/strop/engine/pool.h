#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "strop/base/api.h"

namespace strop::engine {

// Threads for the blocks of one layer. They sleep between jobs and never spin: OpenVINO's threads share the
// cores.
class STROP_API ThreadPool {
 public:
  // The caller of Run works too, so `threads` - 1 are started.
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int threads() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  // body(0) … body(count - 1), each once, in any order and side by side; returns when all have ended, and
  // throws what the first of them that failed has thrown. Thread safe: jobs of several callers share the
  // workers, and each caller works on its own.
  void Run(int64_t count, const std::function<void(int64_t)>& body);

 private:
  struct Job {
    const std::function<void(int64_t)>* body = nullptr;
    int64_t count = 0;
    std::atomic<int64_t> next{0};
    int64_t ended = 0;  // under mutex_
    std::atomic<bool> failed{false};
    std::exception_ptr error;  // of the first that failed
  };
  int64_t Work(Job& job);
  void Loop();

  std::mutex mutex_;
  std::condition_variable work_, done_;
  std::deque<std::shared_ptr<Job>> jobs_;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace strop::engine
