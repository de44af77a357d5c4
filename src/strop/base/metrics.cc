#include "strop/base/metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <variant>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop {
namespace {

bool IsName(std::string_view name, bool capitals) {
  const auto letter = [&](char c) {
    return (c >= 'a' && c <= 'z') || c == '_' || (capitals && c >= 'A' && c <= 'Z');
  };
  const auto rest = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), rest);
}

// Backslash and newline everywhere, the quote in label values only (exposition format 0.0.4).
std::string Escaped(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || (quotes && c == '"')) out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

// `a="1",b="2"`: names a child, and is printed between braces.
std::string LabelText(std::string_view metric, Labels labels) {
  std::sort(labels.begin(), labels.end());
  std::string text;
  for (const auto& [name, value] : labels) {
    if (!IsName(name, true) || name == "le") {
      throw Error(Code::kInvalidArgument,
                  fmt::format("metric {}: label \"{}\" is not [a-zA-Z_][a-zA-Z0-9_]* or is the "
                              "reserved \"le\"",
                              metric, name));
    }
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", name, Escaped(value, true));
  }
  return text;
}

std::string Braced(const std::string& labels, const std::string& more = "") {
  if (labels.empty() && more.empty()) return "";
  return "{" + labels + (labels.empty() || more.empty() ? "" : ",") + more + "}";
}

using Child = std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>, std::unique_ptr<Histogram>>;
constexpr std::string_view kKinds[] = {"counter", "gauge", "histogram"};

struct Family {
  size_t kind;
  std::string help;
  std::map<std::string, Child> children;
};

}  // namespace

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {
  const auto not_ascending = [](double a, double b) { return !(a < b); };
  if (std::adjacent_find(bounds_.begin(), bounds_.end(), not_ascending) != bounds_.end()) {
    throw Error(Code::kInvalidArgument, "the bounds of a histogram must ascend");
  }
}

void Histogram::Observe(double value) noexcept {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

double Histogram::Quantile(double q) const noexcept {
  uint64_t total = 0;
  for (const auto& count : counts_) total += count.load(std::memory_order_relaxed);
  if (total == 0 || bounds_.empty()) return 0;
  const double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(total);
  double below = 0;
  for (size_t i = 0; i < bounds_.size(); ++i) {
    const auto here = static_cast<double>(count_at(i));
    if (here > 0 && below + here >= rank) {
      const double low = i > 0 ? bounds_[i - 1] : std::min(0.0, bounds_[0]);
      return low + (bounds_[i] - low) * std::clamp((rank - below) / here, 0.0, 1.0);
    }
    below += here;
  }
  return bounds_.back();  // beyond the last bound nothing more is known
}

struct Metrics::Impl {
  mutable std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;

  template <class T, class... Args>
  T& Get(std::string_view name, std::string_view help, const Labels& labels, const Args&... args) {
    if (!IsName(name, false)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("metric \"{}\": expected a name like [a-z_][a-z0-9_]*", name));
    }
    const std::string key = LabelText(name, labels);
    const size_t kind = Child(std::unique_ptr<T>()).index();
    std::lock_guard lock(mutex);
    auto family = families.find(name);
    if (family == families.end()) {
      family = families.emplace(std::string(name), Family{kind, std::string(help), {}}).first;
    } else if (family->second.kind != kind) {
      throw Error(Code::kInvalidArgument, fmt::format("metric {} is a {}; it was asked for as a {}", name,
                                                      kKinds[family->second.kind], kKinds[kind]));
    }
    auto child = family->second.children.find(key);
    if (child == family->second.children.end()) {
      child = family->second.children.emplace(key, std::make_unique<T>(args...)).first;
    }
    return *std::get<std::unique_ptr<T>>(child->second);
  }
};

Metrics& Metrics::Global() {
  static auto* metrics = new Metrics;  // never destroyed: threads may count while the process ends
  return *metrics;
}

Metrics::Metrics() : impl_(new Impl) {}

Metrics::~Metrics() { delete impl_; }

Counter& Metrics::GetCounter(std::string_view name, std::string_view help, const Labels& labels) {
  return impl_->Get<Counter>(name, help, labels);
}

Gauge& Metrics::GetGauge(std::string_view name, std::string_view help, const Labels& labels) {
  return impl_->Get<Gauge>(name, help, labels);
}

Histogram& Metrics::GetHistogram(std::string_view name, std::string_view help,
                                 const std::vector<double>& bounds, const Labels& labels) {
  Histogram& histogram = impl_->Get<Histogram>(name, help, labels, bounds);
  if (histogram.bounds() != bounds) {
    throw Error(Code::kInvalidArgument, fmt::format("metric {} was registered with other bounds", name));
  }
  return histogram;
}

std::string Metrics::Text() const {
  std::string out;
  std::lock_guard lock(impl_->mutex);
  for (const auto& [name, family] : impl_->families) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, Escaped(family.help, false), name,
                       kKinds[family.kind]);
    for (const auto& [labels, child] : family.children) {
      if (const auto* counter = std::get_if<std::unique_ptr<Counter>>(&child)) {
        out += fmt::format("{}{} {}\n", name, Braced(labels), (*counter)->value());
      } else if (const auto* gauge = std::get_if<std::unique_ptr<Gauge>>(&child)) {
        out += fmt::format("{}{} {}\n", name, Braced(labels), Number((*gauge)->value()));
      } else {
        const Histogram& histogram = *std::get<std::unique_ptr<Histogram>>(child);
        uint64_t count = 0;
        for (size_t i = 0; i <= histogram.bounds().size(); ++i) {
          count += histogram.count_at(i);
          const std::string bound = i < histogram.bounds().size() ? Number(histogram.bounds()[i]) : "+Inf";
          out += fmt::format("{}_bucket{} {}\n", name, Braced(labels, "le=\"" + bound + "\""), count);
        }
        out += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, Braced(labels), Number(histogram.sum()),
                           name, Braced(labels), count);
      }
    }
  }
  return out;
}

}  // namespace strop
