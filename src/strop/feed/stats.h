#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "strop/base/api.h"
#include "strop/feed/loader.h"

namespace strop::feed {

// Collects the times of a loader's stages. Thread safe; a call a row group or a batch, so a lock costs
// nothing.
class STROP_API StatsRecorder {
 public:
  enum Stage { kRead, kDecode, kCopy, kWait, kStages };

  void Add(Stage stage, double seconds);
  void AddRows(int64_t rows);
  // Time the consumer spent between two calls of Next, on its own work.
  void AddConsumer(double seconds);
  void AddSkipped(int64_t chunks);
  // Of a batch, column by column.
  void AddNans(const std::vector<std::atomic<int64_t>>& nans);
  std::vector<int64_t> nans() const;
  // The verdict needs the number of readers: their time passes side by side.
  LoaderStats Summary(int workers) const;

 private:
  // Quantiles are of the last kKept samples, sums of all.
  static constexpr size_t kKept = 4096;
  struct Samples {
    std::vector<double> last;
    size_t count = 0;
    double sum = 0;
  };

  mutable std::mutex mutex_;
  std::array<Samples, kStages> stages_;
  double consumer_ = 0;
  int64_t rows_ = 0;
  int64_t skipped_ = 0;
  std::vector<int64_t> nans_;
};

}  // namespace strop::feed
