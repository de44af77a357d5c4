#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <arrow/type_fwd.h>

#include "strop/data/table.h"
#include "strop/feed/source.h"

namespace parquet {
class ColumnDescriptor;
class ColumnReader;
}  // namespace parquet

namespace strop::feed {

// A column whose values lie in Parquet as they lie in a batch.
struct PlainColumn {
  const data::Column* column = nullptr;
  int leaf = 0;           // its number among the file's leaves
  int64_t list_size = 0;  // of a fixed-size list; 0: a scalar
};

// nullopt for a column that Arrow has to convert.
std::optional<PlainColumn> AsPlainColumn(const data::Column& column, const arrow::DataType& type, int leaf,
                                         const parquet::ColumnDescriptor& descriptor);

// Decodes plain columns straight into a sink, without Arrow's arrays between. One thread's.
class PlainColumnReader {
 public:
  // A row group's column, in pieces of `slice_bytes` (0: whole). Throws kInvalidArgument naming the row of a
  // null, kCorrupt when rows are missing or a list has another length.
  void Read(parquet::ColumnReader& reader, const PlainColumn& plain, size_t column, int64_t rows,
            int64_t slice_bytes, RowSink& sink);

 private:
  template <class Type>
  void ReadValues(parquet::ColumnReader& reader, const PlainColumn& plain, size_t column, int64_t rows,
                  int64_t slice_bytes, RowSink& sink);

  std::vector<uint8_t> values_;
  std::vector<int16_t> definition_, repetition_;
  std::vector<int16_t> list_;  // repetition levels of one row's list
};

}  // namespace strop::feed
