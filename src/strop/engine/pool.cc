#include "strop/engine/pool.h"

#include <algorithm>

#include "strop/base/threads.h"

namespace strop::engine {

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) {
    workers_.emplace_back([this] {
      NameThread("strop-engine");
      Loop();
    });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

int64_t ThreadPool::Work(Job& job) {
  int64_t ended = 0;
  for (int64_t index; (index = job.next.fetch_add(1)) < job.count; ++ended) {
    try {
      (*job.body)(index);
    } catch (...) {
      if (!job.failed.exchange(true)) job.error = std::current_exception();
    }
  }
  return ended;
}

void ThreadPool::Run(int64_t count, const std::function<void(int64_t)>& body) {
  if (count <= 1 || workers_.empty()) {
    for (int64_t index = 0; index < count; ++index) body(index);
    return;
  }
  const auto job = std::make_shared<Job>();
  job->body = &body;
  job->count = count;
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(job);
  }
  work_.notify_all();
  const int64_t ended = Work(*job);
  std::unique_lock lock(mutex_);
  job->ended += ended;
  std::erase(jobs_, job);
  done_.wait(lock, [&] { return job->ended == job->count; });
  if (job->error) std::rethrow_exception(job->error);
}

void ThreadPool::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    const std::shared_ptr<Job> job = jobs_.front();
    lock.unlock();
    const int64_t ended = Work(*job);
    lock.lock();
    // No index is left: others need not look at it again.
    std::erase(jobs_, job);
    job->ended += ended;
    if (job->ended == job->count) done_.notify_all();
  }
}

}  // namespace strop::engine
