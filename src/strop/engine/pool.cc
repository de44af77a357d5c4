#include "strop/engine/pool.h"

#include <algorithm>
#include <chrono>

#include "strop/base/threads.h"

namespace strop::engine {
namespace {

constexpr auto kLongestSpin = std::chrono::microseconds(100);

void Pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Sections under the mutex take some 10 ns, going to sleep for it 1000 times as long.
std::unique_lock<std::mutex> Lock(std::mutex& mutex) {
  std::unique_lock lock(mutex, std::try_to_lock);
  for (int i = 0; !lock && i < 100; ++i) {
    Pause();
    lock.try_lock();
  }
  if (!lock) lock.lock();
  return lock;
}

template <class Job>
void Work(Job& job, int64_t index) noexcept {
  for (; index < job.count; index = job.next.fetch_add(1)) {
    try {
      job.call(job.body, index);
    } catch (...) {
      if (!job.failed.exchange(true)) job.error = std::current_exception();
    }
  }
}

}  // namespace

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

// Until ready() or the longest time; whether ready. Only while a scope is held.
template <class Ready>
bool ThreadPool::Spin(const Ready& ready) const {
  constexpr int kPausesAClock = 16;  // some 0.5 µs
  if (ready()) return true;
  if (busy_.load() == 0) return false;
  const auto end = std::chrono::steady_clock::now() + kLongestSpin;
  do {
    for (int i = 0; i < kPausesAClock; ++i) {
      Pause();
      if (ready()) return true;
      if (busy_.load() == 0) return false;
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

void ThreadPool::RunAll(int64_t count, const void* body, Call call) {
  if (count <= 0) return;
  Job job{.body = body, .call = call, .count = count};
  const bool shared = count > 1 && !workers_.empty();
  if (shared) Post(job);
  Work(job, 0);
  if (shared) AwaitWorkers(job);
  if (job.error) std::rethrow_exception(job.error);
}

void ThreadPool::Post(Job& job) {
  int64_t wake = 0;
  {
    const auto lock = Lock(mutex_);
    Job** end = &jobs_;
    while (*end != nullptr) end = &(*end)->after;
    *end = &job;
    open_.fetch_add(1);
    wake = std::min(asleep_, job.count - 1);
  }
  for (; wake > 0; --wake) work_.notify_one();
}

// No index is left; when no worker is inside and none can find the job, it may go.
void ThreadPool::AwaitWorkers(const Job& job) {
  {
    const auto lock = Lock(mutex_);
    Unlist(job);
  }
  const auto left = [&] { return job.inside.load() == 0; };
  if (Spin(left)) return;
  std::unique_lock lock(mutex_);
  waiting_.fetch_add(1);
  done_.wait(lock, left);
  waiting_.fetch_sub(1);
}

void ThreadPool::Unlist(const Job& job) noexcept {
  for (Job** at = &jobs_; *at != nullptr; at = &(*at)->after) {
    if (*at != &job) continue;
    *at = job.after;
    open_.fetch_sub(1);
    return;
  }
}

// The oldest job with an index left, and that index. Under the mutex.
ThreadPool::Job* ThreadPool::Take(int64_t& index) noexcept {
  while (Job* const job = jobs_) {
    index = job->next.fetch_add(1);
    if (index + 1 >= job->count) Unlist(*job);
    if (index >= job->count) continue;
    job->inside.fetch_add(1);
    return job;
  }
  return nullptr;
}

void ThreadPool::Leave(Job& job) noexcept {
  // The caller counts itself as waiting before it looks at `inside` for the last time, so one of the two sees
  // the other. The job may be gone after this line.
  if (job.inside.fetch_sub(1) != 1 || waiting_.load() == 0) return;
  { const std::lock_guard lock(mutex_); }
  done_.notify_all();
}

void ThreadPool::Loop() {
  for (;;) {
    Spin([&] { return open_.load() > 0; });
    auto lock = Lock(mutex_);
    int64_t index = 0;
    Job* job = Take(index);
    if (job == nullptr) {
      ++asleep_;
      work_.wait(lock, [&] { return stop_ || jobs_ != nullptr; });
      --asleep_;
      if (stop_) return;
      job = Take(index);
    }
    lock.unlock();
    if (job == nullptr) continue;
    Work(*job, index);
    Leave(*job);
  }
}

}  // namespace strop::engine
