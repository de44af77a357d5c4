#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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
  // From the first chunk until the number was first settled; 0: not yet, or a fixed number.
  double settled_seconds() const noexcept { return settled_; }

  // A reader, counted from 0, is through with a chunk. True when the number of readers changed.
  bool ChunkDone(size_t reader, int64_t rows, double read_seconds, double decode_seconds, Time now);
  // The consumer begins and ends waiting for a batch.
  void WaitBegins(Time now);
  void WaitEnds(Time now);

 private:
  // One reader's chunks since the governor looked last. Each reader's rate is taken from the end of a chunk
  // to the end of a chunk: readers that wait for a storage in step would else make their number look like
  // noise.
  struct Mark {
    std::optional<Time> since;
    Time last;
    int64_t rows = 0;
  };
  double TakeRate();

  std::optional<Governor> governor_;
  int readers_;
  std::optional<Time> began_;
  double settled_ = 0;
  // Since the governor looked last:
  Time since_;
  std::vector<Mark> marks_;
  double read_ = 0, decode_ = 0, waited_ = 0;
  std::optional<Time> waiting_since_;
};

}  // namespace strop::feed
