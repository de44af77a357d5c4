#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace strop::engine::fuzz {

struct Limits {
  int64_t seconds = 30;      // of one trial
  int64_t megabytes = 3072;  // of the process: of its address space, under a sanitizer of its resident set
};

struct Finding {
  int64_t number;
  std::string key;   // the same for what looks like the same bug
  std::string text;  // one line
};

// A process of its own that tries the numbers first, first + step, … below end. It is a fresh one after every
// finding and now and then, so that nothing piles up.
class Worker {
 public:
  // `write` makes the file of a number in the worker's process and answers the candidate to try.
  using Write = std::function<int(int64_t number, const std::filesystem::path& file)>;
  Worker(int64_t first, int64_t step, int64_t end, std::filesystem::path file, Limits limits, Write write);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Starts the process if none runs, and looks after it: an answer when it came to a finding.
  std::optional<Finding> Poll();
  // Of this worker.
  int64_t ran() const noexcept { return progress_->ran; }
  int64_t refused() const noexcept { return progress_->refused; }
  // Of the last refusal.
  std::string refusal() const { return progress_->text; }
  bool done() const noexcept { return progress_->number >= end_; }

 private:
  // Shared with the process.
  struct Progress {
    volatile int64_t number;      // that is being tried, or comes next
    volatile int64_t started_ms;  // on the steady clock; 0 between trials
    volatile int64_t ran, refused;
    char stage[32];
    char text[4096];   // of a finding
    char where[1024];  // of a crash
  };

  [[noreturn]] void Live();
  Finding Judge(int status, bool hangs) const;

  const int64_t step_, end_;
  const std::filesystem::path file_;
  const Limits limits_;
  const Write write_;
  Progress* progress_;
  pid_t process_ = -1;

  static Progress* here_;  // in the process
  static void OnCrash(int signal);
};

}  // namespace strop::engine::fuzz
