#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "strop/base/tensor.h"
#include "strop/data/table.h"

namespace strop::feed {

// The tensor that tells how many elements each row of a ragged column has.
std::string LengthName(const std::string& column);

// The rows of a batch in a ragged column, as they come from the readers. Put is thread safe; the rest once
// all are in.
class RaggedRows {
 public:
  explicit RaggedRows(size_t rows) : rows_(rows) {}

  // Each row once.
  void Put(size_t row, const uint8_t* values, size_t bytes);
  // [rows, longest, …], zeros behind the shorter rows.
  Tensor Padded(const data::Column& column) const;
  // int32 [rows].
  Tensor Lengths(const data::Column& column) const;

 private:
  std::mutex mutex_;
  std::vector<uint8_t> bytes_;                   // of all rows, as they came
  std::vector<std::pair<size_t, size_t>> rows_;  // begin and size in it
};

}  // namespace strop::feed
