#include "strop/feed/order.h"

#include <algorithm>
#include <numeric>

#include "strop/base/rng.h"

namespace strop::feed {
namespace {

// Keeps the streams of chunks and of windows apart.
constexpr uint64_t kChunkStream = 0x6368756e6b;     // "chunk"
constexpr uint64_t kWindowStream = 0x77696e646f77;  // "window"

}  // namespace

int64_t OrderOptions::total_rows() const noexcept {
  return std::accumulate(chunk_rows.begin(), chunk_rows.end(), int64_t{0});
}

uint64_t OrderOptions::Fingerprint() const noexcept {
  uint64_t value = MixSeed(seed, shuffle ? static_cast<uint64_t>(window) : 0);
  for (const uint64_t part : {static_cast<uint64_t>(world_size), static_cast<uint64_t>(uneven),
                              static_cast<uint64_t>(batch_size), static_cast<uint64_t>(drop_last)}) {
    value = MixSeed(value, part);
  }
  for (const int64_t rows : chunk_rows) value = MixSeed(value, static_cast<uint64_t>(rows));
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

EpochOrder::EpochOrder(const OrderOptions& options, uint64_t epoch)
    : shuffle_(options.shuffle), seed_(options.seed), epoch_(epoch), rank_(options.rank) {
  const auto chunks = static_cast<int64_t>(options.chunk_rows.size());
  const int64_t total = options.total_rows();
  rows_ = RankRows(total, options.rank, options.world_size, options.uneven);
  if (rows_ == 0 || total == 0) {
    rows_ = 0;
    return;
  }
  std::vector<uint32_t> line;
  if (shuffle_) line = Permutation(chunks, seed_, MixSeed(kChunkStream, epoch));
  const auto chunk_at = [&](int64_t i) {
    return shuffle_ ? static_cast<int64_t>(line[static_cast<size_t>(i)]) : i;
  };

  // The rank's range starts where the ranks before it end; with kRepeat the line goes round, so that the last
  // ranks take rows from its beginning.
  int64_t begin = 0;
  if (options.uneven == Uneven::kRagged) {
    begin = options.rank * (total / options.world_size) +
            std::min<int64_t>(options.rank, total % options.world_size);
  } else {
    begin = options.rank * rows_ % total;
  }
  int64_t at = 0;
  int64_t skip = begin;
  while (skip >= options.chunk_rows[static_cast<size_t>(chunk_at(at))]) {
    skip -= options.chunk_rows[static_cast<size_t>(chunk_at(at))];
    ++at;
  }
  const size_t segments_a_window = shuffle_ ? static_cast<size_t>(options.window) : 1;
  for (int64_t left = rows_, first = 0; left > 0; at = (at + 1) % chunks, skip = 0) {
    const int64_t chunk = chunk_at(at);
    const int64_t taken = std::min(options.chunk_rows[static_cast<size_t>(chunk)] - skip, left);
    if (taken == 0) continue;
    if (windows_.empty() || windows_.back().segments.size() == segments_a_window)
      windows_.push_back({first, 0, {}});
    windows_.back().segments.push_back({chunk, skip, skip + taken});
    windows_.back().rows += taken;
    first += taken;
    left -= taken;
  }
}

std::vector<uint32_t> EpochOrder::Destinations(size_t window) const {
  if (!shuffle_) return {};
  const uint64_t place = MixSeed(static_cast<uint64_t>(rank_), window);
  return Permutation(windows_[window].rows, seed_, MixSeed(MixSeed(kWindowStream, epoch_), place));
}

}  // namespace strop::feed
