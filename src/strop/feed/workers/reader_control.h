#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "strop/feed/workers/governor.h"

namespace strop::feed {

// How many of a pipeline's readers take chunks: a fixed number, or what a governor makes of how the work
// goes. Its user's lock guards it.
class STROP_API ReaderControl {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit ReaderControl(int readers) : readers_(readers) {}
  explicit ReaderControl(const Governor::Options& options);

  int readers() const noexcept { return readers_; }
  // Why so many; empty for a fixed number.
  std::string reason() const { return governor_ ? governor_->advice().reason : ""; }

  // A chunk was read. True when the number of readers changed.
  bool ChunkDone(int64_t rows, double read_seconds, double decode_seconds, Time now);
  // The consumer begins and ends waiting for a batch.
  void WaitBegins(Time now);
  void WaitEnds(Time now);

 private:
  std::optional<Governor> governor_;
  int readers_;
  // Since the governor looked last:
  std::optional<Time> since_;
  int64_t rows_ = 0;
  double read_ = 0, decode_ = 0, waited_ = 0;
  std::optional<Time> waiting_since_;
};

}  // namespace strop::feed
