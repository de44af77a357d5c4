#include "strop/feed/scatter.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "strop/base/rng.h"

namespace strop::feed {

Scatter::Scatter(const OpenWindow& window, size_t segment, int64_t batch_size,
                 const std::vector<data::Column>& columns)
    : window_(window),
      offset_(window.offsets[segment]),
      segment_(window.line->segments[segment]),
      batch_size_(batch_size),
      columns_(columns) {}

void Scatter::Put(size_t column, int64_t row, int64_t count, const uint8_t* values) {
  const auto begin = std::chrono::steady_clock::now();
  const size_t bytes = columns_[column].row_bytes();
  const int64_t first = std::max(row, segment_.begin);
  const int64_t end = std::min(row + count, segment_.end);
  if (first < end) {
    Copy(column, offset_ + first - segment_.begin, end - first,
         values + static_cast<size_t>(first - row) * bytes, bytes);
  }
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void Scatter::PutRagged(size_t column, int64_t row, const uint8_t* values, size_t bytes) {
  const auto position = PositionOf(row);
  if (!position) return;
  const int64_t batch = *position / batch_size_;
  const BatchSlot& slot = *window_.slots[static_cast<size_t>(batch - window_.first_batch)];
  slot.ragged[column]->Put(static_cast<size_t>(*position - batch * batch_size_), values, bytes);
}

RowPlace Scatter::Place(size_t column, int64_t row) {
  const auto position = PositionOf(row);
  if (!position) return {nullptr, 0, false};
  const uint64_t key =
      MixSeed(window_.key, static_cast<uint64_t>(window_.line->first + *position - window_.window.first));
  if (columns_[column].ragged()) return {nullptr, key, true};
  return {Block(*position / batch_size_, column) +
              static_cast<size_t>(*position % batch_size_) * columns_[column].row_bytes(),
          key, true};
}

std::optional<int64_t> Scatter::PositionOf(int64_t row) const {
  if (row < segment_.begin || row >= segment_.end) return std::nullopt;
  const int64_t i = offset_ + row - segment_.begin;
  const int64_t position = window_.window.first +
                           (window_.destinations.empty() ? i : window_.destinations[static_cast<size_t>(i)]);
  if (position < window_.copy_begin || position >= window_.copy_end) return std::nullopt;
  return position;
}

void Scatter::Copy(size_t column, int64_t at, int64_t count, const uint8_t* values, size_t bytes) {
  if (window_.destinations.empty()) return CopyRuns(column, at, count, values, bytes);
  switch (bytes) {
    case 1:
      return CopyRows<1>(column, at, count, values, bytes);
    case 2:
      return CopyRows<2>(column, at, count, values, bytes);
    case 4:
      return CopyRows<4>(column, at, count, values, bytes);
    case 8:
      return CopyRows<8>(column, at, count, values, bytes);
    default:
      return CopyRows<0>(column, at, count, values, bytes);
  }
}

uint8_t* Scatter::Block(int64_t batch, size_t column) const {
  return static_cast<uint8_t*>(
      window_.slots[static_cast<size_t>(batch - window_.first_batch)]->memory[column].get());
}

// kBytes: the size of a row when it is that of a machine word, so that its copy is one move; else 0.
template <size_t kBytes>
void Scatter::CopyRows(size_t column, int64_t at, int64_t count, const uint8_t* values, size_t bytes) {
  const size_t size = kBytes != 0 ? kBytes : bytes;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = window_.window.first + window_.destinations[static_cast<size_t>(at + i)];
    if (position < window_.copy_begin || position >= window_.copy_end) continue;
    uint8_t* const block = Block(position / batch_size_, column);
    std::memcpy(block + static_cast<size_t>(position % batch_size_) * size,
                values + static_cast<size_t>(i) * size, size);
  }
}

void Scatter::CopyRuns(size_t column, int64_t at, int64_t count, const uint8_t* values, size_t bytes) {
  const int64_t origin = window_.window.first + at;
  int64_t position = std::max(origin, window_.copy_begin);
  const int64_t end = std::min(origin + count, window_.copy_end);
  while (position < end) {
    const int64_t batch = position / batch_size_;
    const int64_t stop = std::min(end, (batch + 1) * batch_size_);
    std::memcpy(Block(batch, column) + static_cast<size_t>(position - batch * batch_size_) * bytes,
                values + static_cast<size_t>(position - origin) * bytes,
                static_cast<size_t>(stop - position) * bytes);
    position = stop;
  }
}

}  // namespace strop::feed
