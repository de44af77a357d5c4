#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "strop/feed/source.h"

namespace strop::feed {

// Keeps a whole chunk's rows, so that they can be used more than once. One thread's.
class KeptChunk final : public RowSink {
 public:
  KeptChunk(const std::vector<data::Column>& columns, int64_t rows)
      : columns_(columns), dense_(columns.size()), ragged_(columns.size()) {
    for (size_t c = 0; c < columns.size(); ++c) {
      if (columns[c].ragged()) {
        ragged_[c].resize(static_cast<size_t>(rows));
      } else {
        dense_[c].resize(columns[c].row_bytes() * static_cast<size_t>(rows));
      }
    }
  }
  void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) override {
    const size_t size = columns_[column].row_bytes();
    std::memcpy(dense_[column].data() + static_cast<size_t>(row) * size, values,
                static_cast<size_t>(count) * size);
  }
  void PutRagged(size_t column, int64_t row, const uint8_t* values, size_t bytes) override {
    ragged_[column][static_cast<size_t>(row)].assign(values, values + bytes);
  }
  // Row `from` as row `row` of another sink.
  void Give(size_t column, int64_t from, int64_t row, RowSink& sink) const {
    if (columns_[column].ragged()) {
      const auto& bytes = ragged_[column][static_cast<size_t>(from)];
      sink.PutRagged(column, row, bytes.data(), bytes.size());
    } else {
      sink.Put(column, row, 1,
               dense_[column].data() + static_cast<size_t>(from) * columns_[column].row_bytes());
    }
  }

 private:
  const std::vector<data::Column>& columns_;
  std::vector<std::vector<uint8_t>> dense_;
  std::vector<std::vector<std::vector<uint8_t>>> ragged_;
};

}  // namespace strop::feed
