#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "strop/base/api.h"
#include "strop/base/error.h"
#include "strop/base/tensor.h"

namespace strop::data {

// What a column is for.
enum class Role { kNone, kInput, kLabel, kId, kTime, kSplit };

// How a column becomes a tensor. Carried in the field's metadata (strop.role, strop.dtype, strop.shape), or
// derived from its Arrow type: numbers; fixed-size lists and the canonical arrow.fixed_shape_tensor;
// fixed-size binary, whose metadata must say what the bytes are (without it: uint8, one dimension).
struct STROP_API Column {
  std::string name;
  Role role = Role::kNone;
  DType dtype = DType::kF32;
  Shape shape = {};  // of one row; empty for a scalar; -1 first: ragged, rows of different length

  bool ragged() const { return !shape.empty() && shape[0] < 0; }
  // Not of a ragged column.
  size_t row_bytes() const { return static_cast<size_t>(ElementCount(shape)) * SizeOf(dtype); }
};

// "input", "label", "id", "time", "split"; "" for kNone. ParseRole throws kInvalidArgument that lists them.
STROP_API std::string_view RoleName(Role role) noexcept;
STROP_API Role ParseRole(std::string_view name);

// Throws kUnsupported naming the column and its Arrow type when it has no dense form (strings, ragged lists);
// kInvalidArgument when its metadata contradicts its type.
STROP_API Column DescribeColumn(const arrow::Field& field);
// The same, and for what has no dense form but one of rows of different length its ragged one: a string or
// binary is its bytes (uint8, [-1]), a list of numbers, fixed-size lists or tensors its elements ([-1, …]).
// Throws kUnsupported for anything else (structs, maps, lists of lists).
STROP_API Column DescribeRagged(const arrow::Field& field);
// Every column that has a dense form, in order; the others (a text id, say) are left out.
STROP_API std::vector<Column> DescribeSchema(const arrow::Schema& schema);
// The field with role, dtype and shape written into its metadata.
STROP_API std::shared_ptr<arrow::Field> AnnotateField(const std::shared_ptr<arrow::Field>& field,
                                                      const Column& column);

// Copies rows [begin, end) of one column into a tensor of shape [end - begin, …column.shape]. Throws
// kInvalidArgument naming column and row where a value is null.
STROP_API Tensor ColumnToTensor(const arrow::ChunkedArray& values, const Column& column, int64_t begin,
                                int64_t end);
// The same into memory of the caller's, of (end - begin) * row_bytes bytes; never throws for lack of memory.
STROP_API void CopyColumn(const arrow::ChunkedArray& values, const Column& column, int64_t begin, int64_t end,
                          void* out);
// A column whose rows are the first dimension of the tensor: numbers, or fixed-size binary annotated with
// dtype and shape.
STROP_API std::shared_ptr<arrow::ChunkedArray> TensorToColumn(const Tensor& tensor, const Column& column,
                                                              std::shared_ptr<arrow::Field>* field);

// Expands a path, a file:// URI or a glob ("train/*.parquet") into files, sorted. Throws kNotFound naming the
// pattern when nothing matches, kUnsupported for another scheme.
STROP_API std::vector<std::filesystem::path> ResolveFiles(const std::string& uri);

// Reads Parquet or Arrow IPC (by content). `columns` empty: all. Throws kNotFound; kCorrupt naming the file
// and what is wrong with it (cut short, not Parquet); kInvalidArgument naming a column that is not there and
// those that are.
STROP_API std::shared_ptr<arrow::Table> ReadTable(const std::string& uri,
                                                  const std::vector<std::string>& columns = {});
STROP_API std::shared_ptr<arrow::Schema> ReadSchema(const std::string& uri);

struct STROP_API ParquetOptions {
  int64_t row_group_bytes =
      1 << 20;  // decoded; about one reader's share of L3, so that a chunk is decoded in cache
  std::string compression =
      "none";  // "none", "lz4", "snappy", "zstd"; fixed-size binary is never dictionary encoded
  void Validate() const;
};
// Atomic: after a crash the file is whole or absent. Pages carry checksums, which ReadTable verifies.
STROP_API void WriteParquet(const arrow::Table& table, const std::filesystem::path& path,
                            const ParquetOptions& options = {});

// An uncompressed Arrow IPC file, the rows of which can be read one by one; record batches of about
// `batch_bytes`. Atomic as WriteParquet.
STROP_API void WriteArrow(const arrow::Table& table, const std::filesystem::path& path,
                          int64_t batch_bytes = ParquetOptions{}.row_group_bytes);

// The named columns as tensors of all rows of the source, in order. `columns` empty: every column with a
// dense form.
STROP_API TensorMap ReadTensors(const std::string& uri, const std::vector<std::string>& columns);

// Turns an arrow::Status into our Error, prefixed by `what` ("reading train.parquet"). No effect on OK.
STROP_API void Check(const arrow::Status& status, const std::string& what);

}  // namespace strop::data
