#include "strop/feed/workers/reader_control.h"

#include <algorithm>
#include <utility>

namespace strop::feed {
namespace {

constexpr double kInterval = 0.1;  // seconds; a search of twelve levels then ends within ten
constexpr double kLongest = 0.5;   // where a chunk takes longer than that, or not every reader has work

double Seconds(ReaderControl::Time::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

ReaderControl::ReaderControl(const Governor::Options& options)
    : governor_(options), readers_(governor_->advice().readers), marks_(static_cast<size_t>(readers_)) {}

bool ReaderControl::ChunkDone(size_t reader, int64_t rows, double read_seconds, double decode_seconds,
                              Time now) {
  if (!governor_ || reader >= marks_.size()) return false;
  read_ += read_seconds;
  decode_ += decode_seconds;
  if (!began_) since_ = began_.emplace(now);
  Mark& mark = marks_[reader];
  if (!mark.since) {
    mark.since = now;
  } else {
    mark.rows += rows;
    mark.last = now;
  }
  const double seconds = Seconds(now - since_);
  const bool all = std::all_of(marks_.begin(), marks_.end(), [](const Mark& one) { return one.rows > 0; });
  if (seconds < (all ? kInterval : kLongest)) return false;
  if (waiting_since_) {
    WaitEnds(now);
    WaitBegins(now);
  }
  Governor::Observation seen;
  seen.time = Seconds(now.time_since_epoch());
  seen.readers = readers_;
  seen.amount = TakeRate() * seconds;
  seen.waiting = std::min(1.0, waited_ / seconds);
  seen.decode = read_ + decode_ > 0 ? decode_ / (read_ + decode_) : 0;
  since_ = now;
  read_ = decode_ = waited_ = 0;
  const Governor::Advice& advice = governor_->Observe(seen);
  if (advice.settled && settled_ == 0) settled_ = Seconds(now - *began_);
  if (advice.readers == readers_) return false;
  readers_ = advice.readers;
  marks_.assign(static_cast<size_t>(readers_), {});
  return true;
}

double ReaderControl::TakeRate() {
  double rate = 0;
  for (Mark& mark : marks_) {
    if (mark.rows == 0) continue;
    rate += static_cast<double>(mark.rows) / std::max(1e-9, Seconds(mark.last - *mark.since));
    mark.since = mark.last;
    mark.rows = 0;
  }
  return rate;
}

void ReaderControl::WaitBegins(Time now) { waiting_since_ = now; }

void ReaderControl::WaitEnds(Time now) {
  if (!waiting_since_) return;
  waited_ += Seconds(now - std::max(*waiting_since_, began_ ? since_ : now));
  waiting_since_.reset();
}

}  // namespace strop::feed
