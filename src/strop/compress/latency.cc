#include "strop/compress/latency.h"

#include <algorithm>
#include <chrono>
#include <vector>

namespace strop::compress {
namespace {

using Clock = std::chrono::steady_clock;

double TimeOf(engine::Session& session, const TensorMap& inputs) {
  const auto start = Clock::now();
  session.Run(inputs);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

Latency CompareLatency(engine::Session& before, engine::Session& after, const TensorMap& inputs,
                       double seconds) {
  constexpr int kWarmUp = 5, kLeast = 15, kMost = 2000;
  for (int i = 0; i < kWarmUp; ++i) {
    TimeOf(before, inputs);
    TimeOf(after, inputs);
  }
  std::vector<double> first, second;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  for (int i = 0; i < kMost && (i < kLeast || Clock::now() < end); ++i) {
    // The order turns with every pair: whoever comes second finds warmer caches.
    if (i % 2 == 0) first.push_back(TimeOf(before, inputs));
    second.push_back(TimeOf(after, inputs));
    if (i % 2 != 0) first.push_back(TimeOf(before, inputs));
  }
  Latency latency;
  latency.before = Median(first);
  latency.after = Median(second);
  latency.speedup = latency.after > 0 ? latency.before / latency.after : 0;
  latency.runs = static_cast<int64_t>(first.size());
  return latency;
}

}  // namespace strop::compress
