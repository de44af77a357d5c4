#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strop/base/api.h"

namespace strop {

using Labels = std::vector<std::pair<std::string, std::string>>;

// A count that only grows. Thread safe, wait free.
class STROP_API Counter {
 public:
  void Add(uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// A value that goes up and down. Thread safe.
class STROP_API Gauge {
 public:
  void Set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
  double value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Counts of observations at or under fixed upper bounds, as Prometheus has them. Thread safe, lock free.
class STROP_API Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);
  void Observe(double value) noexcept;
  const std::vector<double>& bounds() const noexcept { return bounds_; }
  uint64_t count_at(size_t bucket) const noexcept { return counts_[bucket].load(std::memory_order_relaxed); }
  double sum() const noexcept { return sum_.load(std::memory_order_relaxed); }
  // Linear interpolation inside the bucket that holds the quantile; 0 when nothing was observed.
  double Quantile(double q) const noexcept;

 private:
  std::vector<double> bounds_;  // ascending; a last bucket past them is +Inf
  std::vector<std::atomic<uint64_t>> counts_;
  std::atomic<double> sum_{0};
};

// Every metric of the process by name and labels. Names follow Prometheus:
// strop_<room>_<what>_<unit>[_total]. The references live as long as the registry; asking twice gives the
// same object. Throws kInvalidArgument when a name is not [a-z_][a-z0-9_]*, a label's name is not
// [a-zA-Z_][a-zA-Z0-9_]*, or the name was registered as another kind or with other bounds.
class STROP_API Metrics {
 public:
  static Metrics& Global();

  Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;
  ~Metrics();
  Counter& GetCounter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& GetGauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& GetHistogram(std::string_view name, std::string_view help, const std::vector<double>& bounds,
                          const Labels& labels = {});

  // Prometheus text format 0.0.4.
  std::string Text() const;

 private:
  struct Impl;
  Impl* impl_;
};

}  // namespace strop
