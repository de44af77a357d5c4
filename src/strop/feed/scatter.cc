#include "strop/feed/scatter.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "strop/base/rng.h"

namespace strop::feed {

namespace {

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

Scatter::Scatter(const OpenWindow& window, const ScatterRows& rows, int64_t batch_size,
                 const std::vector<data::Column>& columns)
    : window_(window), rows_(rows), batch_size_(batch_size), columns_(columns) {}

void Scatter::Put(size_t column, int64_t row, int64_t count, const uint8_t* values) {
  const auto begin = std::chrono::steady_clock::now();
  const size_t bytes = columns_[column].row_bytes();
  const int64_t first = std::max(row, rows_.begin);
  const int64_t end = std::min(row + count, rows_.end);
  if (first < end) {
    values += static_cast<size_t>(first - row) * bytes;
    if (rows_.destinations == nullptr) {
      CopyRuns(column, first - rows_.begin, end - first, values, bytes);
    } else {
      Copy(column, first - rows_.begin, end - first, values, bytes, [](int64_t i) { return i; });
    }
  }
  seconds_ += SecondsSince(begin);
}

void Scatter::PutRows(size_t column, std::span<const int64_t> rows, const uint8_t* values, size_t row_bytes) {
  const auto begin = std::chrono::steady_clock::now();
  Copy(column, 0, static_cast<int64_t>(rows.size()), values, row_bytes,
       [rows](int64_t i) { return rows[static_cast<size_t>(i)]; });
  seconds_ += SecondsSince(begin);
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
  if (row < rows_.begin || row >= rows_.end) return std::nullopt;
  const int64_t i = row - rows_.begin;
  const int64_t position =
      window_.window.first + (rows_.destinations == nullptr ? rows_.offset + i : rows_.destinations[i]);
  return Copied(position) ? std::optional(position) : std::nullopt;
}

uint8_t* Scatter::Block(int64_t batch, size_t column) const {
  return static_cast<uint8_t*>(
      window_.slots[static_cast<size_t>(batch - window_.first_batch)]->memory[column].get());
}

template <class From>
void Scatter::Copy(size_t column, int64_t first, int64_t count, const uint8_t* values, size_t bytes,
                   From from) {
  switch (bytes) {
    case 1:
      return CopyRows<1>(column, first, count, values, bytes, from);
    case 2:
      return CopyRows<2>(column, first, count, values, bytes, from);
    case 4:
      return CopyRows<4>(column, first, count, values, bytes, from);
    case 8:
      return CopyRows<8>(column, first, count, values, bytes, from);
    default:
      return CopyRows<0>(column, first, count, values, bytes, from);
  }
}

template <size_t kBytes, class From>
void Scatter::CopyRows(size_t column, int64_t first, int64_t count, const uint8_t* values, size_t bytes,
                       From from) {
  const size_t size = kBytes != 0 ? kBytes : bytes;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = window_.window.first + rows_.destinations[first + i];
    if (!Copied(position)) continue;
    std::memcpy(Block(position / batch_size_, column) + static_cast<size_t>(position % batch_size_) * size,
                values + static_cast<size_t>(from(i)) * size, size);
  }
}

void Scatter::CopyRuns(size_t column, int64_t first, int64_t count, const uint8_t* values, size_t bytes) {
  const int64_t origin = window_.window.first + rows_.offset + first;
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
