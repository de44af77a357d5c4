#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "strop/base/api.h"

namespace strop::engine {

// Threads for the blocks of one layer. They sleep between jobs, for OpenVINO's threads share the cores; while
// a Busy scope is held they spin for the next job instead, at most 100 µs each time.
class STROP_API ThreadPool {
 public:
  // Held over a run of jobs with nothing else between them: a worker that spins starts on the next job in
  // well under 1 µs, one that sleeps in 10 to 50. Any number of callers may hold it, nested too; the workers
  // sleep again as soon as none does. The pool must outlive it.
  class STROP_API Busy {
   public:
    explicit Busy(ThreadPool& pool) noexcept : pool_(pool) { pool_.busy_.fetch_add(1); }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() { pool_.busy_.fetch_sub(1); }

   private:
    ThreadPool& pool_;
  };

  // The caller of Run works too, so `threads` - 1 are started. They run on the CPUs that the calling thread
  // may use and are bound to none of them.
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int threads() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  // body(0) … body(count - 1), each once, in any order and side by side; returns when all have ended, and
  // throws what the first of them that failed has thrown. Allocates nothing. Thread safe: jobs of several
  // callers share the workers, and each caller works on its own.
  template <class Body>
  void Run(int64_t count, const Body& body) {
    RunAll(count, &body, [](const void* it, int64_t index) { (*static_cast<const Body*>(it))(index); });
  }

 private:
  using Call = void (*)(const void* body, int64_t index);
  // Lies on its caller's stack; a worker lets go of it by its last access, the count of `inside`.
  struct Job {
    const void* body;
    Call call;
    int64_t count;
    std::atomic<int64_t> next{1};    // the caller begins with 0
    std::atomic<int64_t> inside{0};  // workers
    std::atomic<bool> failed{false};
    std::exception_ptr error{};  // of the first that failed
    Job* after = nullptr;        // in jobs_
  };
  void RunAll(int64_t count, const void* body, Call call);
  void Post(Job& job);
  void AwaitWorkers(const Job& job);
  void Unlist(const Job& job) noexcept;
  Job* Take(int64_t& index) noexcept;
  void Leave(Job& job) noexcept;
  void Loop();
  template <class Ready>
  bool Spin(const Ready& ready) const;

  std::mutex mutex_;
  std::condition_variable work_, done_;
  Job* jobs_ = nullptr;  // oldest first; those with an index left, and a few that have just run out
  int64_t asleep_ = 0;   // workers
  bool stop_ = false;
  // What is spun upon, apart from what its neighbours write.
  alignas(64) std::atomic<int64_t> open_{0};  // length of jobs_
  std::atomic<int64_t> busy_{0};              // scopes held
  std::atomic<int64_t> waiting_{0};           // callers asleep until the workers have left
  std::vector<std::thread> workers_;
};

}  // namespace strop::engine
