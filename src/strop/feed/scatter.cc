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

// Where the rows go is worked out once, not for each column.
Scatter::Scatter(const OpenWindow& window, const ScatterRows& rows, int64_t batch_size,
                 const std::vector<data::Column>& columns, std::vector<ScatterTarget>& targets)
    : window_(window), rows_(rows), batch_size_(batch_size), columns_(columns), targets_(targets) {
  targets_.clear();
  if (rows_.destinations == nullptr) return;
  targets_.resize(static_cast<size_t>(rows_.end - rows_.begin));
  const int64_t origin = window_.first_batch * batch_size_;
  for (size_t i = 0; i < targets_.size(); ++i) {
    const int64_t position = PositionOf(static_cast<int64_t>(i));
    if (position < window_.copy_begin || position >= window_.copy_end) continue;
    const auto at = static_cast<uint64_t>(position - origin), size = static_cast<uint64_t>(batch_size_);
    targets_[i] = {static_cast<uint32_t>(at / size), static_cast<uint32_t>(at % size)};
  }
}

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
      // Row by row only where there are any, as not every row need be copied.
      const bool look = Nans(column, values, end - first) > 0;
      Copy(column, first - rows_.begin, end - first, values, bytes, look, [](int64_t i) { return i; });
    }
  }
  seconds_ += SecondsSince(begin);
}

void Scatter::PutRows(size_t column, std::span<const int64_t> rows, const uint8_t* values, size_t row_bytes) {
  const auto begin = std::chrono::steady_clock::now();
  Copy(column, 0, static_cast<int64_t>(rows.size()), values, row_bytes, CanBeNan(columns_[column].dtype),
       [rows](int64_t i) { return rows[static_cast<size_t>(i)]; });
  seconds_ += SecondsSince(begin);
}

void Scatter::PutRagged(size_t column, int64_t row, const uint8_t* values, size_t bytes) {
  const ScatterTarget target = TargetOf(row);
  if (target.slot == ScatterTarget::kNowhere) return;
  window_.slots[target.slot]->ragged[column]->Put(target.row, values, bytes);
  const DType dtype = columns_[column].dtype;
  AddNans(target.slot, column, CountNan(dtype, values, static_cast<int64_t>(bytes / SizeOf(dtype))));
}

RowPlace Scatter::Place(size_t column, int64_t row) {
  const ScatterTarget target = TargetOf(row);
  if (target.slot == ScatterTarget::kNowhere) return {nullptr, 0, false};
  const int64_t position = PositionOf(row - rows_.begin);
  const uint64_t key =
      MixSeed(window_.key, static_cast<uint64_t>(window_.line->first + position - window_.window.first));
  if (columns_[column].ragged()) return {nullptr, key, true};
  return {window_.block(column, target.slot) + target.row * columns_[column].row_bytes(), key, true};
}

void Scatter::Placed(size_t column, int64_t row) {
  const ScatterTarget target = TargetOf(row);
  const uint8_t* const values =
      window_.block(column, target.slot) + target.row * columns_[column].row_bytes();
  AddNans(target.slot, column, Nans(column, values, 1));
}

ScatterTarget Scatter::TargetOf(int64_t row) const {
  if (row < rows_.begin || row >= rows_.end) return {};
  if (rows_.destinations != nullptr) return targets_[static_cast<size_t>(row - rows_.begin)];
  const int64_t position = PositionOf(row - rows_.begin);
  if (position < window_.copy_begin || position >= window_.copy_end) return {};
  return {static_cast<uint32_t>(position / batch_size_ - window_.first_batch),
          static_cast<uint32_t>(position % batch_size_)};
}

template <class From>
void Scatter::Copy(size_t column, int64_t first, int64_t count, const uint8_t* values, size_t bytes,
                   bool look, From from) {
  switch (bytes) {
    case 1:
      return CopyRows<1>(column, first, count, values, bytes, look, from);
    case 2:
      return CopyRows<2>(column, first, count, values, bytes, look, from);
    case 4:
      return CopyRows<4>(column, first, count, values, bytes, look, from);
    case 8:
      return CopyRows<8>(column, first, count, values, bytes, look, from);
    default:
      return CopyRows<0>(column, first, count, values, bytes, look, from);
  }
}

template <size_t kBytes, class From>
void Scatter::CopyRows(size_t column, int64_t first, int64_t count, const uint8_t* values, size_t bytes,
                       bool look, From from) {
  const size_t size = kBytes != 0 ? kBytes : bytes;
  const ScatterTarget* const targets = targets_.data() + first;
  uint8_t* const* const blocks = window_.blocks.data() + column * window_.slots.size();
  for (int64_t i = 0; i < count; ++i) {
    const ScatterTarget target = targets[i];
    if (target.slot == ScatterTarget::kNowhere) continue;
    const uint8_t* const row = values + static_cast<size_t>(from(i)) * size;
    std::memcpy(blocks[target.slot] + target.row * size, row, size);
    if (look) AddNans(target.slot, column, Nans(column, row, 1));
  }
}

void Scatter::CopyRuns(size_t column, int64_t first, int64_t count, const uint8_t* values, size_t bytes) {
  const int64_t origin = window_.window.first + rows_.offset + first;
  int64_t position = std::max(origin, window_.copy_begin);
  const int64_t end = std::min(origin + count, window_.copy_end);
  while (position < end) {
    const int64_t batch = position / batch_size_;
    const int64_t stop = std::min(end, (batch + 1) * batch_size_);
    const uint8_t* const rows = values + static_cast<size_t>(position - origin) * bytes;
    const auto slot = static_cast<size_t>(batch - window_.first_batch);
    std::memcpy(window_.block(column, slot) + static_cast<size_t>(position - batch * batch_size_) * bytes,
                rows, static_cast<size_t>(stop - position) * bytes);
    AddNans(slot, column, Nans(column, rows, stop - position));
    position = stop;
  }
}

}  // namespace strop::feed
