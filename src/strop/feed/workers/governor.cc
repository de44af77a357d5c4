#include "strop/feed/workers/governor.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

constexpr size_t kFewestIntervals = 3;  // of a level: fewer tell no variance
constexpr size_t kMostIntervals = 6;    // 12 levels of 7 intervals of 0.1 s stay within search_seconds
constexpr double kTrusted = 0.02;       // relative error of the law that describes its levels, or,
constexpr double kTrustedNoise = 2;     // in units of their noise
constexpr double kSteady = 0.01;        // relative standard error at which a level is known
constexpr size_t kRecent = 8;           // intervals that must agree on a shift
constexpr int kStorageReaders = 32;     // readers a CPU when they mostly wait for the storage
constexpr double kWaitsAgain = 0.05;

}  // namespace

Governor::Governor(const Options& options) : options_(options) {
  if (options.cpus < 1 || options.start < 1 || options.most < 0 || options.tolerance <= 0 ||
      options.tolerance >= 1 || options.shift <= 0 || options.recheck_seconds <= 0 ||
      options.search_seconds <= 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("governor with cpus {}, start {}, most {}, tolerance {}, shift {}, recheck {} s, "
                            "search {} s: all must be positive, most may be 0, tolerance below 1",
                            options.cpus, options.start, options.most, options.tolerance, options.shift,
                            options.recheck_seconds, options.search_seconds));
  }
  advice_ = {std::min(options.start, limit()), false, "measuring"};
}

int Governor::limit() const noexcept {
  const int by_cpus = decode_ > 0.5 ? options_.cpus : kStorageReaders * options_.cpus;
  return options_.most > 0 ? std::min(options_.most, by_cpus) : by_cpus;
}

const Governor::Advice& Governor::Observe(const Observation& seen) {
  if (!last_time_) search_began_ = seen.time;
  const double seconds = seen.time - last_time_.value_or(seen.time);
  last_time_ = seen.time;
  if (seconds <= 0 || seen.readers != advice_.readers) return advice_;
  if (std::exchange(fresh_, false)) return advice_;
  decode_ += 0.3 * (seen.decode - decode_);
  const double rate = seen.amount / seconds;
  if (state_ == State::kSettled) {
    Watch(rate, seen);
    return advice_;
  }
  rates_.push_back(rate);
  waiting_ += seen.waiting;
  if (Complete()) EndLevel();
  return advice_;
}

bool Governor::Complete() const {
  if (rates_.size() < kFewestIntervals) return false;
  const Level level = Measured();
  return rates_.size() >= kMostIntervals || level.error <= kSteady * level.mean;
}

Governor::Level Governor::Measured() const {
  const auto n = static_cast<double>(rates_.size());
  Level out{0, 0, waiting_ / n};
  for (const double rate : rates_) out.mean += rate / n;
  double square = 0;
  for (const double rate : rates_) square += (rate - out.mean) * (rate - out.mean);
  out.error = std::sqrt(square / (n - 1) / n);
  return out;
}

void Governor::Use(int readers, State state, std::string reason) {
  fresh_ = readers != advice_.readers;
  rates_.clear();
  waiting_ = 0;
  state_ = state;
  advice_ = {readers, state == State::kSettled, std::move(reason)};
}

double Governor::Best() const {
  double best = 0;
  for (const auto& [readers, level] : levels_) best = std::max(best, level.mean);
  return best;
}

void Governor::Fit() {
  std::vector<ScalingPoint> points;
  for (const auto& [readers, level] : levels_) {
    if (level.mean > 0) points.push_back({static_cast<double>(readers), level.mean});
  }
  law_ = points.empty() ? std::nullopt : std::optional(FitScaling(points));
}

void Governor::EndLevel() {
  const Level level = Measured();
  levels_[advice_.readers] = level;
  if (state_ == State::kMore) {
    const int step = std::max(1, settled_readers_ / 8);
    if (settled_readers_ > 1) {
      Use(settled_readers_ - step, State::kFewer, fmt::format("re-check: trying {} fewer", step));
      return;
    }
  }
  if (state_ == State::kMore || state_ == State::kFewer) return EndRecheck();
  if (state_ == State::kRise) return Rise(level);
  Refine();
}

void Governor::Rise(const Level& level) {
  const int now = advice_.readers;
  if (now > limit()) return Use(limit(), State::kRise, fmt::format("decoding bounds: at most {}", limit()));
  const auto before = levels_.lower_bound(now);
  if (before != levels_.begin()) {
    const Level& fewer = std::prev(before)->second;
    const double noise = 2 * std::hypot(level.error, fewer.error);
    const double gain = level.mean - fewer.mean;
    if (gain <= std::max(noise, options_.tolerance * fewer.mean)) return Refine();
  }
  if (level.waiting < options_.no_wait || now >= limit()) return Refine();
  const int next = std::min(2 * now, limit());
  Use(next, State::kRise, fmt::format("throughput rises with readers: trying {}", next));
}

// Between the most readers that were not enough and the fewest that were.
void Governor::Refine() {
  Fit();
  int below = 0;
  int enough = levels_.rbegin()->first;
  for (const auto& [readers, level] : levels_) {
    if (Enough(readers, level)) {
      enough = readers;
      break;
    }
    below = readers;
  }
  const Level& level = levels_[enough];
  consumer_bounds_ = level.waiting < options_.no_wait;
  const bool late = last_time_.value_or(0) - search_began_ >= options_.search_seconds;
  if (enough - below > 1 && !late) {
    const int next = Bisect(below, enough);
    return Use(next, State::kRefine,
               fmt::format("{} give no more than fewer might: trying {}", enough, next));
  }
  const std::string why = consumer_bounds_    ? "the consumer bounds: it never waits"
                          : enough == limit() ? fmt::format("the limit of {} usable CPUs", options_.cpus)
                                              : fmt::format("the fewest within {:.0f}% of the best measured",
                                                            100 * options_.tolerance);
  Settle(enough, fmt::format("{} reader{}: {}; {}", enough, enough == 1 ? "" : "s", why,
                             law_ ? law_->Text() : "nothing was delivered"));
}

// Where the law describes what was measured, it decides: near the tolerance's edge one level's noise would.
// The law is off by less than its levels are, by the root of their number; so much the tolerance is less.
bool Governor::Enough(int readers, const Level& level) const {
  if (!law_ || law_->error > std::max(kTrusted, kTrustedNoise * Noise()))
    return level.mean >= (1 - options_.tolerance) * Best();
  double best = 0;
  for (const auto& [measured, unused] : levels_) best = std::max(best, law_->At(measured));
  const double off = law_->error / std::sqrt(static_cast<double>(levels_.size()));
  return law_->At(readers) >= (1 - std::max(0.0, options_.tolerance - off)) * best;
}

// Relative standard error of the levels, the root of the mean square.
double Governor::Noise() const {
  double square = 0;
  for (const auto& [readers, level] : levels_)
    if (level.mean > 0) square += std::pow(level.error / level.mean, 2);
  return std::sqrt(square / static_cast<double>(levels_.size()));
}

int Governor::Bisect(int below, int enough) const {
  const int middle = below + (enough - below) / 2;
  // The law's word counts once a search: a storage with a hard cap is no smooth curve, and halving must end.
  if (!law_ || state_ == State::kRefine) return middle;
  return std::clamp(Knee(*law_, enough, options_.tolerance), below + 1, enough - 1);
}

void Governor::Settle(int readers, const std::string& reason) {
  reference_ = levels_[readers].mean;
  best_over_ = reference_ > 0 ? Best() / reference_ : 1;
  settled_readers_ = readers;
  settled_at_ = *last_time_;
  recent_.clear();
  recent_rates_.clear();
  Use(readers, State::kSettled, reason);
}

void Governor::Watch(double rate, const Observation& seen) {
  recent_.push_back(seen);
  recent_rates_.push_back(rate);
  if (recent_.size() > kRecent) {
    recent_.pop_front();
    recent_rates_.pop_front();
  }
  if (recent_.size() < kRecent) return;
  rates_.assign(recent_rates_.begin(), recent_rates_.end());
  waiting_ = 0;
  for (const auto& one : recent_) waiting_ += one.waiting;
  const Level now = Measured();
  const bool shifted = std::abs(now.mean - reference_) > std::max(options_.shift * reference_, 3 * now.error);
  if (now.waiting < options_.no_wait) {
    consumer_bounds_ = true;  // its pace may change as it likes
    reference_ = now.mean;
  } else if (consumer_bounds_ && now.waiting > kWaitsAgain) {
    return Restart("the consumer began to wait: searching again");
  } else if (shifted) {
    return Restart(fmt::format("throughput shifted from {:.4g} to {:.4g} a second: searching again",
                               reference_, now.mean));
  }
  if (seen.time - settled_at_ < options_.recheck_seconds) return;
  levels_ = {{settled_readers_, now}};
  search_began_ = seen.time;
  const int more = std::min(limit(), settled_readers_ + std::max(1, settled_readers_ / 8));
  if (!consumer_bounds_ && more > settled_readers_)
    return Use(more, State::kMore, fmt::format("re-check: trying {} more", more - settled_readers_));
  const int fewer = settled_readers_ - std::max(1, settled_readers_ / 8);
  if (fewer >= 1) return Use(fewer, State::kFewer, "re-check: trying fewer");
  settled_at_ = seen.time;
}

void Governor::Restart(const std::string& reason) {
  levels_.clear();
  consumer_bounds_ = false;
  search_began_ = *last_time_;
  Use(std::min(settled_readers_, limit()), State::kRise, reason);
}

// A gain of more readers, or fewer being enough, begins a search; else all stays.
void Governor::EndRecheck() {
  const Level now = levels_[settled_readers_];
  const double best = std::max(Best(), now.mean * best_over_);
  const double enough = (1 - options_.tolerance) * best;
  const auto fewest = levels_.begin();
  const auto most = std::prev(levels_.end());
  const double noise = 2 * std::hypot(now.error, most->second.error);
  if (most->first > settled_readers_ && now.mean < enough && most->second.mean > now.mean + noise)
    return Restart("re-check: more readers deliver more: searching again");
  if (fewest->first < settled_readers_ && fewest->second.mean >= enough) {
    levels_.erase(std::next(levels_.find(settled_readers_)), levels_.end());
    return Refine();
  }
  const std::string law = law_ ? "; " + law_->Text() : "";
  Settle(settled_readers_, fmt::format("{} reader{}: re-checked, neither more nor fewer do better{}",
                                       settled_readers_, settled_readers_ == 1 ? "" : "s", law));
  best_over_ = now.mean > 0 ? best / now.mean : 1;
}

}  // namespace strop::feed
