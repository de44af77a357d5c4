#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "strop/feed/open_window.h"
#include "strop/feed/source.h"

namespace strop::feed {

// Copies the rows of one segment of a window to their places in its batches. One thread's.
class Scatter final : public RowSink {
 public:
  Scatter(const OpenWindow& window, size_t segment, int64_t batch_size,
          const std::vector<data::Column>& columns);

  void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) override;
  void PutRagged(size_t column, int64_t row, const uint8_t* values, size_t bytes) override;
  RowPlace Place(size_t column, int64_t row) override;

  double seconds() const noexcept { return seconds_; }  // spent in Put

 private:
  // Of a row of the chunk, in the rank's epoch; nullopt when it is not copied.
  std::optional<int64_t> PositionOf(int64_t row) const;
  // Rows [at, at + count) of the window, in the order of its segments.
  void Copy(size_t column, int64_t at, int64_t count, const uint8_t* values, size_t bytes);
  uint8_t* Block(int64_t batch, size_t column) const;
  template <size_t kBytes>
  void CopyRows(size_t column, int64_t at, int64_t count, const uint8_t* values, size_t bytes);
  void CopyRuns(size_t column, int64_t at, int64_t count, const uint8_t* values, size_t bytes);

  const OpenWindow& window_;
  const int64_t offset_;
  const Segment segment_;
  const int64_t batch_size_;
  const std::vector<data::Column>& columns_;
  double seconds_ = 0;
};

}  // namespace strop::feed
