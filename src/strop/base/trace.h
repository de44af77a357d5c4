#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "strop/base/api.h"

namespace strop {

// A stretch of time in which one thread did one thing for one item.
struct STROP_API Span {
  const char* name = "";  // of static storage
  uint64_t item = 0;      // that it belongs to: spans of one item are shown as one trace
  uint64_t thread = 0;
  int64_t begin_ns = 0;  // of the system clock, since 1970
  int64_t end_ns = 0;
};

// Keeps the spans of a share of the items: which ones is a pure function of (seed, item), so every thread
// agrees without asking. Thread safe. Beyond `most` spans the oldest go.
class STROP_API Tracer {
 public:
  // share: 0 (nothing) to 1 (everything). Throws kInvalidArgument for another.
  explicit Tracer(double share, uint64_t seed = 0, size_t most = 1 << 16);

  // From now on. Throws as the constructor.
  void SetShare(double share);
  bool Sampled(uint64_t item) const noexcept;
  // A span of the calling thread; for items that are sampled.
  void Add(const char* name, uint64_t item, std::chrono::steady_clock::time_point begin,
           std::chrono::steady_clock::time_point end);
  // In the order in which they ended.
  std::vector<Span> Spans() const;

 private:
  const uint64_t seed_;
  std::atomic<uint64_t> threshold_;  // a hash below it is sampled; at its highest, all are
  const size_t most_;
  const int64_t clock_offset_ns_;  // steady clock to system clock
  mutable std::mutex mutex_;
  std::vector<Span> spans_;  // a ring once it is full
  size_t next_ = 0;
};

// For ui.perfetto.dev and chrome://tracing: the JSON object of the Trace Event Format, a complete event ("X")
// a span.
STROP_API std::string PerfettoJson(const std::vector<Span>& spans, const std::string& process);

// OTLP 1.x in its JSON encoding (ExportTraceServiceRequest), for POST to /v1/traces of a collector: a trace
// an item.
STROP_API std::string OtlpJson(const std::vector<Span>& spans, const std::string& service);

}  // namespace strop
