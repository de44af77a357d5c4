#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "strop/base/api.h"
#include "strop/data/table.h"
#include "strop/feed/loader.h"

namespace strop::feed {

// Where a row of a dense column is to be written, by those that make its bytes anew.
struct RowPlace {
  uint8_t* data = nullptr;  // 64-byte aligned only as the row falls; null: put it by Put
  uint64_t key = 0;         // names the row in its epoch, whatever the run: what random transforms draw from
  bool wanted = true;       // false: nobody takes this row, and making it can be spared
};

// Takes decoded rows where they lie; `values` lives only during the call. Every row of every column is put
// once.
class STROP_API RowSink {
 public:
  virtual ~RowSink();
  // `count` rows of `columns()[column]`, dense, from row `row` of the chunk on.
  virtual void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) = 0;
  // Rows rows[0], rows[1], … of `values` (row_bytes each), as rows 0, 1, … of the chunk.
  virtual void PutRows(size_t column, std::span<const int64_t> rows, const uint8_t* values, size_t row_bytes);
  // One row of a ragged column: its `bytes`, a whole number of elements.
  virtual void PutRagged(size_t column, int64_t row, const uint8_t* values, size_t bytes) = 0;
  // A row written to its place counts as put, once Placed is called.
  virtual RowPlace Place(size_t column, int64_t row);
  virtual void Placed(size_t column, int64_t row);
};

// Reads chunks; one thread's. Keeps files, connections and scratch memory between calls.
class STROP_API ChunkReader {
 public:
  virtual ~ChunkReader();
  // Throws kCorrupt, kIo or kUnavailable naming the chunk; kInvalidArgument naming column and row of a null.
  // Some rows may have been put by then.
  virtual void Read(int64_t chunk, RowSink& sink) = 0;
  // As Read, but a row that transforms cannot make takes the values of the next one of the chunk, going
  // round, that they can. Answers how many did; throws when there is no such row.
  virtual int64_t ReadAround(int64_t chunk, RowSink& sink);
  // Rows of a chunk (rising), as rows 0, 1, … of the sink; where Source::WhyChunksOnly is empty.
  virtual void ReadRows(int64_t chunk, std::span<const int64_t> rows, RowSink& sink);
  // The same as a table of the projected columns, for those who pass it on.
  virtual std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) = 0;
  // Seconds spent waiting for storage or network since the last call.
  virtual double TakeReadSeconds() noexcept = 0;
};

// A sequence of chunks (Parquet row groups, Arrow record batches) that are read one by one. Immutable, thread
// safe.
class STROP_API Source {
 public:
  virtual ~Source();
  virtual const std::vector<data::Column>& columns() const noexcept = 0;  // the projection
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;              // of the projection
  virtual const std::vector<int64_t>& chunk_rows() const noexcept = 0;
  // `slice_bytes`: how much of a column is decoded before it is put, where the encoding has a choice, so that
  // it is still in the cache then; 0: the whole chunk.
  virtual std::unique_ptr<ChunkReader> NewReader(int64_t slice_bytes = 0) const = 0;
  // Ends, by kCancelled, what readers wait for that may never come. Nothing is read after it.
  virtual void Cancel() const noexcept {}
  // Empty where ChunkReader::ReadRows works; else the cause.
  virtual std::string WhyChunksOnly() const { return "its rows come a chunk at a time"; }
};

// A path, a glob or grpc://HOST:PORT/NAME; `columns` empty: every column with a dense form. Throws as
// Loader::Open.
STROP_API std::shared_ptr<Source> OpenSource(const std::string& uri, const std::vector<std::string>& columns,
                                             const FileSystem& file_system = nullptr);

// The columns asked for out of a schema, in the order asked. `where` names the schema in errors.
STROP_API std::vector<data::Column> ProjectColumns(const arrow::Schema& schema,
                                                   const std::vector<std::string>& columns,
                                                   const std::string& where);

// The bytes of an array's rows when they lie dense in memory, else null.
STROP_API const uint8_t* DenseRows(const arrow::ArrayData& array);

// Puts a table's columns into the sink: without a copy where the layout is dense, through `scratch` where it
// is not.
STROP_API void PutTable(const arrow::Table& table, const std::vector<data::Column>& columns,
                        std::vector<uint8_t>& scratch, RowSink& sink);

// Passes rows of a single column on, as rows of column `column` from `first` on.
class STROP_API PutColumn final : public RowSink {
 public:
  PutColumn(RowSink& sink, size_t column, int64_t first) : sink_(sink), column_(column), first_(first) {}
  void Put(size_t, int64_t row, int64_t count, const uint8_t* values) override;
  void PutRagged(size_t, int64_t row, const uint8_t* values, size_t bytes) override;
  RowPlace Place(size_t, int64_t row) override;
  void Placed(size_t, int64_t row) override;

 private:
  RowSink& sink_;
  const size_t column_;
  const int64_t first_;
};

}  // namespace strop::feed
