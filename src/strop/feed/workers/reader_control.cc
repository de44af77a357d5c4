#include "strop/feed/workers/reader_control.h"

#include <algorithm>
#include <utility>

namespace strop::feed {
namespace {

constexpr double kInterval = 0.1;  // seconds; a search of twelve levels then ends within ten

double Seconds(ReaderControl::Time::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

ReaderControl::ReaderControl(const Governor::Options& options)
    : governor_(options), readers_(governor_->advice().readers) {}

bool ReaderControl::ChunkDone(int64_t rows, double read_seconds, double decode_seconds, Time now) {
  if (!governor_) return false;
  rows_ += rows;
  read_ += read_seconds;
  decode_ += decode_seconds;
  if (!since_) since_ = now;
  const double seconds = Seconds(now - *since_);
  if (seconds < kInterval) return false;
  if (waiting_since_) {
    WaitEnds(now);
    WaitBegins(now);
  }
  Governor::Observation seen;
  seen.time = Seconds(now.time_since_epoch());
  seen.readers = readers_;
  seen.amount = static_cast<double>(rows_);
  seen.waiting = std::min(1.0, waited_ / seconds);
  seen.decode = read_ + decode_ > 0 ? decode_ / (read_ + decode_) : 0;
  since_ = now;
  rows_ = 0;
  read_ = decode_ = waited_ = 0;
  return std::exchange(readers_, governor_->Observe(seen).readers) != readers_;
}

void ReaderControl::WaitBegins(Time now) { waiting_since_ = now; }

void ReaderControl::WaitEnds(Time now) {
  if (!waiting_since_) return;
  waited_ += Seconds(now - std::max(*waiting_since_, since_.value_or(now)));
  waiting_since_.reset();
}

}  // namespace strop::feed
