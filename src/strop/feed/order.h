#pragma once

#include <cstdint>
#include <vector>

#include "strop/base/api.h"
#include "strop/feed/loader.h"

namespace strop::feed {

// What decides the order of rows, and nothing else does.
struct STROP_API OrderOptions {
  std::vector<int64_t> chunk_rows;  // rows of each chunk (row group) of the source, in its own order
  bool shuffle = false;
  uint64_t seed = 0;
  int window = 8;
  int rank = 0;
  int world_size = 1;
  Uneven uneven = Uneven::kRepeat;
  int64_t batch_size = 256;
  bool drop_last = false;

  int64_t total_rows() const noexcept;
  // A value that differs whenever the order may differ, whatever the rank.
  uint64_t Fingerprint() const noexcept;
};

// Rows [begin, end) of a chunk.
struct STROP_API Segment {
  int64_t chunk = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t rows() const noexcept { return end - begin; }
};

// Segments whose rows are shuffled together. They fill positions [first, first + rows) of the rank's epoch.
struct STROP_API Window {
  int64_t first = 0;
  int64_t rows = 0;
  std::vector<Segment> segments;
};

// Rows that a rank reads in an epoch: the same on every rank unless kRagged, where they differ by one at
// most.
STROP_API int64_t RankRows(int64_t total, int rank, int world_size, Uneven uneven) noexcept;
// Batches of an epoch of so many rows.
STROP_API int64_t BatchCount(int64_t rows, int64_t batch_size, bool drop_last) noexcept;

// A uniform permutation of [0, n): Fisher and Yates with Philox draws of (seed, stream). n < 2^32.
STROP_API std::vector<uint32_t> Permutation(int64_t n, uint64_t seed, uint64_t stream);

// The order of one epoch on one rank ("block order"). The chunks are permuted by (seed, epoch) and laid end
// to end; the rank owns one contiguous range of that line, so that it decodes at most two chunks in part;
// every `window` segments of the range are shuffled row by row. Without shuffle the line is the source itself
// and a window is one segment. Immutable, and a pure function of its arguments: any position is reached
// without replaying those before it.
class STROP_API EpochOrder {
 public:
  EpochOrder(const OrderOptions& options, uint64_t epoch);

  uint64_t epoch() const noexcept { return epoch_; }
  int64_t rows() const noexcept { return rows_; }
  const std::vector<Window>& windows() const noexcept { return windows_; }
  // Where each row of the window goes: the i-th row, in the order of its segments, to position first +
  // result[i]. Empty when it is the identity.
  std::vector<uint32_t> Destinations(size_t window) const;

 private:
  bool shuffle_;
  uint64_t seed_;
  uint64_t epoch_;
  int rank_;
  int64_t rows_;
  std::vector<Window> windows_;
};

}  // namespace strop::feed
