#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "strop/base/api.h"
#include "strop/feed/loader.h"

namespace strop::feed {

// Consecutive chunks that are one source of a mixture.
struct STROP_API Group {
  int64_t first_chunk = 0;
  int64_t chunks = 0;
  double weight = 0;  // its share of an epoch's rows, relative to the others'; 0 for all: each row once
};

// What decides the order of rows, and nothing else does.
struct STROP_API OrderOptions {
  std::vector<int64_t> chunk_rows;  // rows of each chunk (row group) of the source, in its own order
  bool shuffle = false;
  uint64_t seed = 0;
  int window = 8;
  int rank = 0;
  Share share;
  std::vector<Group> groups = {};  // empty: one of all chunks
  bool global = false;             // with shuffle: all rows are mixed, not those of a window
  int64_t piece_rows = 4096;       // in global order, that are gathered at once; does not change the order

  int64_t total_rows() const noexcept;
  int segments_a_window() const noexcept;  // at most, but for rounding in a mixture
  // A value that differs whenever the line of rows may differ; how ranks share it is not part of it.
  uint64_t Fingerprint() const noexcept;
};

// Rows [begin, end) of a chunk.
struct STROP_API Segment {
  int64_t chunk = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t rows() const noexcept { return end - begin; }
};

// Positions [begin, end) of something.
struct STROP_API Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t rows() const noexcept { return end - begin; }
};

// Segments whose rows are mixed with each other, at positions [first, first + rows) of the epoch's line. In
// global order a segment is no part of a chunk (its chunk is -1) but places [begin, end) of the window.
struct STROP_API LineWindow {
  int64_t first = 0;
  int64_t rows = 0;
  std::vector<Segment> segments;
};

// A rank's part of a line window: its rows fill positions [begin, end) of the rank's epoch. Row i of the
// window, in the order of its segments, goes to position first + destination[i], and is the rank's when that
// lies in [begin, end).
struct STROP_API Window {
  size_t line = 0;  // index of the line window
  int64_t first = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

// Rows that a rank reads of `total`: the same on every rank unless kRagged, where they differ by one at most.
STROP_API int64_t RankRows(int64_t total, int rank, int world_size, Uneven uneven) noexcept;
// Batches of so many rows.
STROP_API int64_t BatchCount(int64_t rows, int64_t batch_size, bool drop_last) noexcept;

// A uniform permutation of [0, n): Fisher and Yates with Philox draws of (seed, stream). n < 2^32.
STROP_API std::vector<uint32_t> Permutation(int64_t n, uint64_t seed, uint64_t stream);

// A row of a window in global order: row `row` of the chunk goes to place `destination` of the window.
struct STROP_API LineRow {
  int64_t chunk = 0;
  int64_t row = 0;
  uint32_t destination = 0;
};

class GlobalLine;

// The rows of one epoch in a line, the same whatever the number of ranks. In block order the chunks are
// permuted by (seed, epoch) and laid end to end, and every `window` of them are shuffled row by row; without
// shuffle the line is the source itself and a window is one chunk. Of a mixture every window takes from each
// group in proportion, to the nearest chunk border; a group whose share is more than its rows is passed more
// than once, one whose share is less goes on in the next epoch where it stopped, each pass in a permutation
// of its own. In global order (global_line.h) every row may stand anywhere. Immutable, and a pure function of
// its arguments.
class STROP_API EpochLine {
 public:
  EpochLine(const OrderOptions& options, uint64_t epoch);

  uint64_t epoch() const noexcept { return epoch_; }
  int64_t rows() const noexcept { return rows_; }
  const std::vector<LineWindow>& windows() const noexcept { return windows_; }
  // Where each row of the window goes, from the window's first position on. Empty when it is the identity.
  std::vector<uint32_t> Destinations(size_t window) const;
  bool global() const noexcept { return global_ != nullptr; }
  // In global order: the rows at places [begin, end) of the window, by chunk and row.
  std::vector<LineRow> Rows(size_t window, int64_t begin, int64_t end) const;

 private:
  std::shared_ptr<const GlobalLine> global_;
  bool shuffle_;
  bool mixture_;
  uint64_t seed_;
  uint64_t epoch_;
  int64_t rows_ = 0;
  std::vector<LineWindow> windows_;
};

// One rank's rows of an epoch, in order. Each rank owns one contiguous range of the line. Where an epoch goes
// on under another Share than it began (`done`: what each Share gave out before), the ranks own ranges of
// what is left of the line, so that no row is lost or repeated at any change of the number of ranks.
// Immutable.
class STROP_API EpochOrder {
 public:
  EpochOrder(const OrderOptions& options, uint64_t epoch, const std::vector<Part>& done = {});

  const EpochLine& line() const noexcept { return line_; }
  uint64_t epoch() const noexcept { return line_.epoch(); }
  int64_t rows() const noexcept { return rows_; }        // the rank's
  int64_t batches() const noexcept { return batches_; }  // the same on every rank unless kRagged
  int64_t limit() const noexcept { return limit_; }  // rows that are given out: less than rows() by drop_last
  const std::vector<Window>& windows() const noexcept { return windows_; }

 private:
  EpochLine line_;
  int64_t rows_ = 0;
  int64_t batches_ = 0;
  int64_t limit_ = 0;
  std::vector<Window> windows_;
};

// How well an epoch is shuffled, in (0, 1], 1 in global order: how many different chunks a batch is expected
// to draw from, as a share of what it would be if all rows of the epoch were mixed. 0 without shuffle.
STROP_API double ShuffleQuality(const OrderOptions& options);

}  // namespace strop::feed
