#include "strop/base/trace.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/rng.h"

namespace strop {
namespace {

using nlohmann::json;

int64_t Nanoseconds(auto duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

int64_t ClockOffset() {
  return Nanoseconds(std::chrono::system_clock::now().time_since_epoch()) -
         Nanoseconds(std::chrono::steady_clock::now().time_since_epoch());
}

uint64_t Threshold(double share) {
  if (!(share >= 0 && share <= 1))
    throw Error(Code::kInvalidArgument,
                fmt::format("the share of traced items is {}: expected 0 to 1", share));
  return share >= 1 ? UINT64_MAX : static_cast<uint64_t>(std::ldexp(share, 64));
}

uint64_t ThisThread() {
  static thread_local const auto id = static_cast<uint64_t>(gettid());
  return id;
}

}  // namespace

Tracer::Tracer(double share, uint64_t seed, size_t most)
    : seed_(seed),
      threshold_(Threshold(share)),
      most_(std::max<size_t>(1, most)),
      clock_offset_ns_(ClockOffset()) {}

void Tracer::SetShare(double share) { threshold_.store(Threshold(share), std::memory_order_relaxed); }

bool Tracer::Sampled(uint64_t item) const noexcept {
  const uint64_t threshold = threshold_.load(std::memory_order_relaxed);
  return threshold == UINT64_MAX || (threshold != 0 && MixSeed(seed_, item) < threshold);
}

void Tracer::Add(const char* name, uint64_t item, std::chrono::steady_clock::time_point begin,
                 std::chrono::steady_clock::time_point end) {
  const Span span{name, item, ThisThread(), Nanoseconds(begin.time_since_epoch()) + clock_offset_ns_,
                  Nanoseconds(end.time_since_epoch()) + clock_offset_ns_};
  std::lock_guard lock(mutex_);
  if (spans_.size() < most_) {
    spans_.push_back(span);
  } else {
    spans_[next_] = span;
  }
  next_ = (next_ + 1) % most_;
}

std::vector<Span> Tracer::Spans() const {
  std::lock_guard lock(mutex_);
  std::vector<Span> ordered = spans_;
  if (spans_.size() == most_) {
    std::rotate(ordered.begin(), ordered.begin() + static_cast<std::ptrdiff_t>(next_), ordered.end());
  }
  return ordered;
}

std::string PerfettoJson(const std::vector<Span>& spans, const std::string& process) {
  const int pid = getpid();
  json events = json::array();
  events.push_back({{"ph", "M"}, {"name", "process_name"}, {"pid", pid}, {"args", {{"name", process}}}});
  for (const Span& span : spans) {
    events.push_back({{"ph", "X"},
                      {"name", span.name},
                      {"pid", pid},
                      {"tid", span.thread},
                      {"ts", static_cast<double>(span.begin_ns) / 1e3},
                      {"dur", static_cast<double>(span.end_ns - span.begin_ns) / 1e3},
                      {"args", {{"item", span.item}}}});
  }
  return json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump();
}

std::string OtlpJson(const std::vector<Span>& spans, const std::string& service) {
  const auto attribute = [](const char* key, const json& value) {
    return json{{"key", key}, {"value", value}};
  };
  json list = json::array();
  uint64_t number = 0;
  for (const Span& span : spans) {
    list.push_back({{"traceId", fmt::format("{:016x}{:016x}", MixSeed(span.item, 1), MixSeed(span.item, 2))},
                    {"spanId", fmt::format("{:016x}", MixSeed(span.item, 3 + ++number))},
                    {"name", span.name},
                    {"kind", 1},  // SPAN_KIND_INTERNAL
                    {"startTimeUnixNano", std::to_string(span.begin_ns)},
                    {"endTimeUnixNano", std::to_string(span.end_ns)},
                    {"attributes",
                     {attribute("strop.item", {{"intValue", std::to_string(span.item)}}),
                      attribute("thread.id", {{"intValue", std::to_string(span.thread)}})}}});
  }
  const json resource = {{"attributes", {attribute("service.name", {{"stringValue", service}})}}};
  const json scope = {{"scope", {{"name", "strop"}}}, {"spans", list}};
  return json{{"resourceSpans", {{{"resource", resource}, {"scopeSpans", {scope}}}}}}.dump();
}

}  // namespace strop
