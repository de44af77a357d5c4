#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <arrow/filesystem/filesystem.h>

#include "strop/base/api.h"

namespace strop::feed {

struct STROP_API ThrottleOptions {
  double bytes_per_second = 0;  // of all readers together; 0: no cap
  double latency_seconds = 0;   // before the first byte of every read; those of several readers overlap
};

// A token bucket without a burst, shared by the readers of one storage. Thread safe.
class STROP_API Throttle {
 public:
  using Now = std::function<double()>;  // seconds, steady
  using SleepUntil = std::function<void(double when)>;

  // The steady clock. Throws kInvalidArgument for negative options.
  explicit Throttle(const ThrottleOptions& options);
  Throttle(const ThrottleOptions& options, Now now, SleepUntil sleep_until);

  // Returns when a read of that many bytes that begins now would be done.
  void Wait(int64_t bytes);

 private:
  double Reserve(double now, int64_t bytes);

  const ThrottleOptions options_;
  const Now now_;
  const SleepUntil sleep_until_;
  std::mutex mutex_;
  double free_at_ = 0;  // the link
};

// A storage with a bandwidth and a latency, for tests and claims. Reading is throttled, all else goes to
// `base`.
STROP_API std::shared_ptr<arrow::fs::FileSystem> MakeThrottledFileSystem(
    std::shared_ptr<arrow::fs::FileSystem> base, std::shared_ptr<Throttle> throttle);

// The same for one file.
STROP_API std::shared_ptr<arrow::io::RandomAccessFile> MakeThrottledFile(
    std::shared_ptr<arrow::io::RandomAccessFile> base, std::shared_ptr<Throttle> throttle);

}  // namespace strop::feed
