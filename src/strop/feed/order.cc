#include "strop/feed/order.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "strop/base/rng.h"
#include "strop/feed/global_line.h"
#include "strop/feed/group_share.h"

namespace strop::feed {
namespace {

constexpr int kPieces = 8;  // of a window in global order: readers gather them side by side

// Keeps the streams of chunks and of windows apart.
constexpr uint64_t kChunkStream = 0x6368756e6b;     // "chunk"
constexpr uint64_t kWindowStream = 0x77696e646f77;  // "window"

// The segments that a group gives to an epoch: `quota` rows of the endless stream of its passes, from where
// the epochs before stopped.
std::vector<Segment> GroupSegments(const OrderOptions& options, const GroupShare& share, size_t index,
                                   uint64_t epoch) {
  const Group& group = share.group;
  std::vector<Segment> segments;
  if (share.rows == 0 || share.quota == 0) return segments;
  auto [pass, skip] = BeginOf(share, epoch);
  for (int64_t left = share.quota; left > 0; ++pass, skip = 0) {
    std::vector<uint32_t> line;
    if (options.shuffle)
      line = Permutation(group.chunks, options.seed, MixSeed(MixSeed(kChunkStream, index), pass));
    for (int64_t at = 0; at < group.chunks && left > 0; ++at) {
      const int64_t chunk = group.first_chunk + (line.empty() ? at : line[static_cast<size_t>(at)]);
      const int64_t size = options.chunk_rows[static_cast<size_t>(chunk)];
      const int64_t begin = std::min(skip, size);
      skip -= begin;
      const int64_t taken = std::min(size - begin, left);
      if (taken == 0) continue;
      segments.push_back({chunk, begin, begin + taken});
      left -= taken;
    }
  }
  return segments;
}

// Where to cut a group's segments so that each window has its share of the rows, to the nearest border.
std::vector<size_t> Cuts(const std::vector<Segment>& segments, size_t windows) {
  int64_t rows = 0;
  for (const Segment& segment : segments) rows += segment.rows();
  std::vector<size_t> cuts = {0};
  int64_t before = 0;
  size_t at = 0;
  for (size_t w = 1; w <= windows; ++w) {
    const double target = static_cast<double>(rows) * static_cast<double>(w) / static_cast<double>(windows);
    while (at < segments.size() &&
           static_cast<double>(before) + static_cast<double>(segments[at].rows()) / 2 <= target) {
      before += segments[at++].rows();
    }
    cuts.push_back(w == windows ? segments.size() : at);
  }
  return cuts;
}

std::vector<LineWindow> MakeWindows(const OrderOptions& options, uint64_t epoch) {
  const std::vector<GroupShare> groups = ShareOut(options);
  std::vector<std::vector<Segment>> segments;
  size_t count = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    segments.push_back(GroupSegments(options, groups[g], g, epoch));
    count += segments.back().size();
  }
  const bool mixed = options.shuffle || groups.size() > 1;
  const size_t a_window = mixed ? static_cast<size_t>(options.window) : 1;
  std::vector<LineWindow> windows((count + a_window - 1) / a_window);
  for (const auto& group : segments) {
    std::vector<size_t> cuts;
    if (groups.size() > 1) {
      cuts = Cuts(group, windows.size());
    } else {
      for (size_t w = 0; w <= windows.size(); ++w) cuts.push_back(std::min(w * a_window, group.size()));
    }
    for (size_t w = 0; w < windows.size(); ++w) {
      windows[w].segments.insert(windows[w].segments.end(), group.begin() + static_cast<int64_t>(cuts[w]),
                                 group.begin() + static_cast<int64_t>(cuts[w + 1]));
    }
  }
  std::erase_if(windows, [](const LineWindow& window) { return window.segments.empty(); });
  int64_t first = 0;
  for (LineWindow& window : windows) {
    window.first = first;
    for (const Segment& segment : window.segments) window.rows += segment.rows();
    first += window.rows;
  }
  return windows;
}

std::vector<LineWindow> MakeGlobalWindows(int64_t rows, int64_t piece_rows) {
  std::vector<LineWindow> windows;
  for (int64_t first = 0; first < rows; first += kPieces * piece_rows) {
    LineWindow window{first, std::min(kPieces * piece_rows, rows - first), {}};
    for (int64_t begin = 0; begin < window.rows; begin += piece_rows)
      window.segments.push_back({-1, begin, std::min(begin + piece_rows, window.rows)});
    windows.push_back(std::move(window));
  }
  return windows;
}

int64_t Rows(const std::vector<Range>& ranges) {
  return std::accumulate(ranges.begin(), ranges.end(), int64_t{0},
                         [](int64_t sum, const Range& range) { return sum + range.rows(); });
}

// Positions [begin, begin + rows) of the ranges laid end to end.
void Append(const std::vector<Range>& ranges, int64_t begin, int64_t rows, std::vector<Range>& out) {
  for (const Range& range : ranges) {
    const int64_t from = std::max<int64_t>(begin, 0);
    const int64_t taken = std::min(range.rows() - from, rows);
    if (taken > 0) {
      out.push_back({range.begin + from, range.begin + from + taken});
      rows -= taken;
    }
    begin -= range.rows();
    if (rows <= 0) return;
  }
}

struct RankRange {
  int64_t begin = 0;
  int64_t rows = 0;
};

// The rank's range of `total` rows; with kRepeat it may reach beyond them, and then goes round.
RankRange RangeOf(int64_t total, int rank, int world_size, Uneven uneven) {
  const int64_t rows = RankRows(total, rank, world_size, uneven);
  const int64_t begin = uneven == Uneven::kRagged
                            ? rank * (total / world_size) + std::min<int64_t>(rank, total % world_size)
                            : rank * rows;
  return {begin, rows};
}

// What is left of the ranges once every rank of the share has given out so many batches.
std::vector<Range> LeftAfter(const std::vector<Range>& ranges, const Part& part) {
  const Share& share = part.share;
  const int64_t total = Rows(ranges);
  std::vector<Range> left;
  int64_t owned = 0;
  for (int rank = 0; rank < share.world_size; ++rank) {
    const RankRange range = RangeOf(total, rank, share.world_size, share.uneven);
    const int64_t given = std::min(part.batches * share.batch_size, range.rows);
    const int64_t end = std::min(range.begin + range.rows, total);  // beyond are repeats
    Append(ranges, range.begin + given, end - range.begin - given, left);
    owned = std::max(owned, end);
  }
  Append(ranges, owned, total - owned, left);
  return left;
}

}  // namespace

int64_t OrderOptions::total_rows() const noexcept {
  return std::accumulate(chunk_rows.begin(), chunk_rows.end(), int64_t{0});
}

int OrderOptions::segments_a_window() const noexcept {
  if (!shuffle) return 1;
  return global ? kPieces : window;
}

uint64_t OrderOptions::Fingerprint() const noexcept {
  const bool windowed = shuffle ? !global : groups.size() > 1;
  uint64_t value = MixSeed(seed, windowed ? static_cast<uint64_t>(window) : 0);
  if (shuffle && global) value = MixSeed(value, 1);
  value = MixSeed(value, static_cast<uint64_t>(shuffle));
  for (const int64_t rows : chunk_rows) value = MixSeed(value, static_cast<uint64_t>(rows));
  for (const Group& group : groups) {
    value = MixSeed(value, static_cast<uint64_t>(group.chunks));
    value = MixSeed(value, static_cast<uint64_t>(std::llround(group.weight * 1e9)));
  }
  return value | 1;  // never "not checked"
}

int64_t RankRows(int64_t total, int rank, int world_size, Uneven uneven) noexcept {
  const int64_t share = total / world_size;
  const int64_t rest = total % world_size;
  switch (uneven) {
    case Uneven::kRepeat:
      return share + (rest > 0);
    case Uneven::kRagged:
      return share + (rank < rest);
    case Uneven::kDrop:
      return share;
  }
  return share;
}

int64_t BatchCount(int64_t rows, int64_t batch_size, bool drop_last) noexcept {
  return drop_last ? rows / batch_size : (rows + batch_size - 1) / batch_size;
}

std::vector<uint32_t> Permutation(int64_t n, uint64_t seed, uint64_t stream) {
  std::vector<uint32_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 0U);
  Rng rng(seed, stream);
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[rng.Below(i)]);
  return values;
}

EpochLine::EpochLine(const OrderOptions& options, uint64_t epoch)
    : global_(options.shuffle && options.global ? std::make_shared<const GlobalLine>(options, epoch)
                                                : nullptr),
      shuffle_(options.shuffle),
      mixture_(options.groups.size() > 1),
      seed_(options.seed),
      epoch_(epoch),
      windows_(global_ ? MakeGlobalWindows(global_->rows(), options.piece_rows)
                       : MakeWindows(options, epoch)) {
  if (!windows_.empty()) rows_ = windows_.back().first + windows_.back().rows;
}

std::vector<uint32_t> EpochLine::Destinations(size_t window) const {
  const LineWindow& mixed = windows_[window];
  if (shuffle_) return Permutation(mixed.rows, seed_, MixSeed(MixSeed(kWindowStream, epoch_), window));
  if (!mixture_) return {};
  // Unshuffled segments are interleaved evenly: row j of n stands at (j + 1/2) / n of the window.
  std::vector<std::pair<double, uint32_t>> places;
  for (const Segment& segment : mixed.segments) {
    for (int64_t row = 0; row < segment.rows(); ++row) {
      places.emplace_back((static_cast<double>(row) + 0.5) / static_cast<double>(segment.rows()),
                          static_cast<uint32_t>(places.size()));
    }
  }
  std::sort(places.begin(), places.end());
  std::vector<uint32_t> destinations(places.size());
  for (size_t i = 0; i < places.size(); ++i) destinations[places[i].second] = static_cast<uint32_t>(i);
  return destinations;
}

std::vector<LineRow> EpochLine::Rows(size_t window, int64_t begin, int64_t end) const {
  std::vector<LineRow> rows;
  rows.reserve(static_cast<size_t>(end - begin));
  for (int64_t place = begin; place < end; ++place) {
    const auto [chunk, row] = global_->At(windows_[window].first + place);
    rows.push_back({chunk, row, static_cast<uint32_t>(place)});
  }
  std::sort(rows.begin(), rows.end(), [](const LineRow& a, const LineRow& b) {
    return a.chunk != b.chunk ? a.chunk < b.chunk : a.row < b.row;
  });
  return rows;
}

EpochOrder::EpochOrder(const OrderOptions& options, uint64_t epoch, const std::vector<Part>& done)
    : line_(options, epoch) {
  std::vector<Range> left = {{0, line_.rows()}};
  for (const Part& part : done) left = LeftAfter(left, part);
  const Share& share = options.share;
  const int64_t total = Rows(left);
  const RankRange own = RangeOf(total, options.rank, share.world_size, share.uneven);
  if (total > 0) rows_ = own.rows;
  batches_ = BatchCount(rows_, share.batch_size, share.drop_last);
  limit_ = std::min(rows_, batches_ * share.batch_size);

  std::vector<Range> ranges;
  for (int64_t at = own.begin, end = own.begin + rows_; at < end;) {  // going round as often as it takes
    const int64_t taken = std::min(end - at, total - at % total);
    Append(left, at % total, taken, ranges);
    at += taken;
  }
  const auto& windows = line_.windows();
  int64_t position = 0;
  for (const Range& range : ranges) {
    auto window = std::upper_bound(windows.begin(), windows.end(), range.begin,
                                   [](int64_t value, const LineWindow& w) { return value < w.first; }) -
                  1;
    for (; window != windows.end() && window->first < range.end; ++window) {
      const int64_t begin = std::max(range.begin, window->first);
      const int64_t rows = std::min(range.end, window->first + window->rows) - begin;
      windows_.push_back({static_cast<size_t>(window - windows.begin()), position - (begin - window->first),
                          position, position + rows});
      position += rows;
    }
  }
}

double ShuffleQuality(const OrderOptions& options) {
  if (!options.shuffle) return 0;
  if (options.global) return 1;
  const EpochLine line(options, 0);
  if (line.rows() == 0) return 0;
  const auto batch = static_cast<double>(options.share.batch_size);
  // Chunks that a batch out of so many rows is expected to touch; a larger batch holds the rows several times
  // over.
  const auto touched = [&](const std::vector<Segment>& segments, double rows) {
    const double draws = std::min(batch, rows);
    double sum = 0;
    for (const Segment& segment : segments)
      sum += 1 - std::pow(1 - static_cast<double>(segment.rows()) / rows, draws);
    return sum * batch / draws;
  };
  std::vector<Segment> all;
  double block = 0;
  for (const LineWindow& window : line.windows()) {
    const auto rows = static_cast<double>(window.rows);
    block += touched(window.segments, rows) * rows;
    all.insert(all.end(), window.segments.begin(), window.segments.end());
  }
  const auto rows = static_cast<double>(line.rows());
  return std::min(1.0, block / rows / touched(all, rows));
}

}  // namespace strop::feed
