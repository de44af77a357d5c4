#include "strop/feed/stats.h"

#include <algorithm>

#include <fmt/format.h>

namespace strop::feed {
namespace {

// Linear interpolation between the sorted samples around q.
double Quantile(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) return 0;
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

constexpr double kConsumerBound =
    0.05;  // waiting less than this share, the consumer could not go faster by us

std::string Verdict(double waiting, double read, double decode, double copy, int workers) {
  if (waiting < kConsumerBound) {
    return fmt::format("consumer bounds: it waits {:.1f}% of its time for data", 100 * waiting);
  }
  const double total = std::max(read + decode + copy, 1e-12);
  if (read >= decode && read >= copy) {
    return fmt::format(
        "storage bounds: {:.0f}% of the readers' time is reading; more readers help only below the "
        "knee that strop feed probe shows (now {})",
        100 * read / total, workers);
  }
  if (decode >= copy) {
    return fmt::format(
        "decode bounds: {:.0f}% of the readers' time is decoding; more readers (now {}), fewer columns "
        "or a lighter encoding would help",
        100 * decode / total, workers);
  }
  return fmt::format(
      "copy bounds: {:.0f}% of the readers' time is copying rows into batches; more readers (now {}) or "
      "fewer columns would help",
      100 * copy / total, workers);
}

}  // namespace

void StatsRecorder::Add(Stage stage, double seconds) {
  std::lock_guard lock(mutex_);
  Samples& samples = stages_[stage];
  if (samples.last.size() < kKept) {
    samples.last.push_back(seconds);
  } else {
    samples.last[samples.count % kKept] = seconds;
  }
  ++samples.count;
  samples.sum += seconds;
}

void StatsRecorder::AddRows(int64_t rows) {
  std::lock_guard lock(mutex_);
  rows_ += rows;
}

void StatsRecorder::AddConsumer(double seconds) {
  std::lock_guard lock(mutex_);
  consumer_ += seconds;
}

void StatsRecorder::AddSkipped(int64_t chunks) {
  if (chunks == 0) return;
  std::lock_guard lock(mutex_);
  skipped_ += chunks;
}

void StatsRecorder::AddNans(const std::vector<std::atomic<int64_t>>& nans) {
  if (std::all_of(nans.begin(), nans.end(), [](const auto& count) { return count == 0; })) return;
  std::lock_guard lock(mutex_);
  nans_.resize(nans.size());
  for (size_t i = 0; i < nans.size(); ++i) nans_[i] += nans[i];
}

std::vector<int64_t> StatsRecorder::nans() const {
  std::lock_guard lock(mutex_);
  return nans_;
}

LoaderStats StatsRecorder::Summary(int workers) const {
  std::array<Samples, kStages> stages;
  LoaderStats stats;
  double consumer = 0;
  {
    std::lock_guard lock(mutex_);
    stages = stages_;
    consumer = consumer_;
    stats.rows = rows_;
    stats.skipped_chunks = skipped_;
  }
  LoaderStats::Stage* const out[kStages] = {&stats.read, &stats.decode, &stats.copy, &stats.wait};
  for (size_t i = 0; i < kStages; ++i) {
    std::sort(stages[i].last.begin(), stages[i].last.end());
    *out[i] = {Quantile(stages[i].last, 0.50), Quantile(stages[i].last, 0.95),
               Quantile(stages[i].last, 0.99)};
  }
  const double elapsed = stages[kWait].sum + consumer;
  if (elapsed > 0) {
    stats.waiting_share = stages[kWait].sum / elapsed;
    stats.rows_per_second = static_cast<double>(stats.rows) / elapsed;
  }
  stats.verdict = stats.rows == 0 ? "nothing was read yet"
                                  : Verdict(stats.waiting_share, stages[kRead].sum, stages[kDecode].sum,
                                            stages[kCopy].sum, workers);
  return stats;
}

}  // namespace strop::feed
