#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "strop/feed/nan/nan.h"
#include "strop/feed/open_window.h"
#include "strop/feed/source.h"

namespace strop::feed {

// Which rows of what is read are copied, and where to: row begin + i goes to position i of the window's from
// `offset` on, or by `destinations` when there are any.
struct ScatterRows {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t offset = 0;
  const uint32_t* destinations = nullptr;
};

// A row's place in the batches of a window.
struct ScatterTarget {
  static constexpr uint32_t kNowhere = UINT32_MAX;  // not copied
  uint32_t slot = kNowhere;
  uint32_t row = 0;
};

// Copies rows to their places in a window's batches. One thread's.
class Scatter final : public RowSink {
 public:
  // `targets`: scratch memory that lives as long, used again from scatter to scatter.
  Scatter(const OpenWindow& window, const ScatterRows& rows, int64_t batch_size,
          const std::vector<data::Column>& columns, std::vector<ScatterTarget>& targets);

  void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) override;
  void PutRows(size_t column, std::span<const int64_t> rows, const uint8_t* values,
               size_t row_bytes) override;
  void PutRagged(size_t column, int64_t row, const uint8_t* values, size_t bytes) override;
  RowPlace Place(size_t column, int64_t row) override;
  void Placed(size_t column, int64_t row) override;

  double seconds() const noexcept { return seconds_; }  // spent in Put and PutRows

 private:
  int64_t PositionOf(int64_t i) const {
    return window_.window.first + (rows_.destinations == nullptr ? rows_.offset + i : rows_.destinations[i]);
  }
  // Of a row of what is read.
  ScatterTarget TargetOf(int64_t row) const;
  // Rows i = first, first + 1, …, first + count - 1 after rows_.begin; row i lies at values + from(i) * size.
  // kBytes: the size of a row when it is that of a machine word, so that its copy is one move; else 0.
  // `look`: for NaNs.
  template <size_t kBytes, class From>
  void CopyRows(size_t column, int64_t first, int64_t count, const uint8_t* values, size_t bytes, bool look,
                From from);
  template <class From>
  void Copy(size_t column, int64_t first, int64_t count, const uint8_t* values, size_t bytes, bool look,
            From from);
  void CopyRuns(size_t column, int64_t first, int64_t count, const uint8_t* values, size_t bytes);
  // NaNs of `count` rows that lie one behind the other.
  int64_t Nans(size_t column, const uint8_t* values, int64_t count) const noexcept {
    return CountNan(columns_[column].dtype, values, count * ElementCount(columns_[column].shape));
  }
  void AddNans(size_t slot, size_t column, int64_t nans) const noexcept {
    if (nans > 0) window_.slots[slot]->nans[column].fetch_add(nans, std::memory_order_relaxed);
  }

  const OpenWindow& window_;
  const ScatterRows rows_;
  const int64_t batch_size_;
  const std::vector<data::Column>& columns_;
  std::vector<ScatterTarget>& targets_;  // of every row, where there are destinations
  double seconds_ = 0;
};

}  // namespace strop::feed
