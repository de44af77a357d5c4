#include "strop/feed/files/parquet_column.h"

#include <algorithm>
#include <cstring>

#include <arrow/extension_type.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/column_reader.h>
#include <parquet/schema.h>
#include <parquet/types.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

bool SameBytes(const arrow::DataType& type, const parquet::ColumnDescriptor& leaf) {
  switch (leaf.physical_type()) {
    case parquet::Type::INT32:
      return type.id() == arrow::Type::INT32 || type.id() == arrow::Type::UINT32;
    case parquet::Type::INT64:
      return type.id() == arrow::Type::INT64 || type.id() == arrow::Type::UINT64;
    case parquet::Type::FLOAT:
      return type.id() == arrow::Type::FLOAT;
    case parquet::Type::DOUBLE:
      return type.id() == arrow::Type::DOUBLE;
    case parquet::Type::FIXED_LEN_BYTE_ARRAY:
      return (type.id() == arrow::Type::FIXED_SIZE_BINARY || type.id() == arrow::Type::HALF_FLOAT) &&
             type.bit_width() == 8 * leaf.type_length();
    default:
      return false;
  }
}

// Rows of a plain page lie one behind the other; of a dictionary they do not.
void PutRuns(const parquet::FixedLenByteArray* values, int64_t count, size_t bytes, size_t column,
             int64_t row, RowSink& sink) {
  for (int64_t begin = 0; begin < count;) {
    int64_t end = begin + 1;
    while (end < count && values[end].ptr == values[end - 1].ptr + bytes) ++end;
    sink.Put(column, row + begin, end - begin, values[begin].ptr);
    begin = end;
  }
}

// Whether each row's levels are those of a list as long as `one`, which begins at its first.
bool ListsOf(const std::vector<int16_t>& one, const int16_t* repetition, int64_t rows) {
  for (int64_t row = 0; row < rows; ++row, repetition += one.size()) {
    if (std::memcmp(repetition, one.data(), one.size() * sizeof(int16_t)) != 0) return false;
  }
  return true;
}

}  // namespace

std::optional<PlainColumn> AsPlainColumn(const data::Column& column, const arrow::DataType& type, int leaf,
                                         const parquet::ColumnDescriptor& descriptor) {
  const arrow::DataType* stored = &type;
  if (stored->id() == arrow::Type::EXTENSION)
    stored = static_cast<const arrow::ExtensionType*>(stored)->storage_type().get();
  if (stored->id() == arrow::Type::FIXED_SIZE_LIST) {
    const auto& list = static_cast<const arrow::FixedSizeListType&>(*stored);
    const bool plain = descriptor.max_repetition_level() == 1 && list.list_size() > 0 &&
                       descriptor.physical_type() != parquet::Type::FIXED_LEN_BYTE_ARRAY &&
                       SameBytes(*list.value_type(), descriptor);
    return plain ? std::optional(PlainColumn{&column, leaf, list.list_size()}) : std::nullopt;
  }
  const bool plain = descriptor.max_repetition_level() == 0 && descriptor.max_definition_level() <= 1 &&
                     SameBytes(*stored, descriptor);
  return plain ? std::optional(PlainColumn{&column, leaf, 0}) : std::nullopt;
}

void PlainColumnReader::Read(parquet::ColumnReader& reader, const PlainColumn& plain, size_t column,
                             int64_t rows, int64_t slice_bytes, RowSink& sink) {
  switch (reader.type()) {
    case parquet::Type::INT32:
      return ReadValues<parquet::Int32Type>(reader, plain, column, rows, slice_bytes, sink);
    case parquet::Type::INT64:
      return ReadValues<parquet::Int64Type>(reader, plain, column, rows, slice_bytes, sink);
    case parquet::Type::FLOAT:
      return ReadValues<parquet::FloatType>(reader, plain, column, rows, slice_bytes, sink);
    case parquet::Type::DOUBLE:
      return ReadValues<parquet::DoubleType>(reader, plain, column, rows, slice_bytes, sink);
    case parquet::Type::FIXED_LEN_BYTE_ARRAY:
      return ReadValues<parquet::FLBAType>(reader, plain, column, rows, slice_bytes, sink);
    default:
      throw Error(Code::kInternal, fmt::format("column {} is not plain", plain.column->name));
  }
}

template <class Type>
void PlainColumnReader::ReadValues(parquet::ColumnReader& reader, const PlainColumn& plain, size_t column,
                                   int64_t rows, int64_t slice_bytes, RowSink& sink) {
  using Value = typename Type::c_type;
  auto& typed = static_cast<parquet::TypedColumnReader<Type>&>(reader);
  const auto row_bytes = static_cast<int64_t>(plain.column->row_bytes());
  const int64_t piece = slice_bytes > 0 ? std::clamp<int64_t>(slice_bytes / row_bytes, 1, rows) : rows;
  const int64_t size = std::max<int64_t>(plain.list_size, 1);
  const bool leveled = reader.descr()->max_definition_level() > 0;
  values_.resize(std::max(values_.size(), sizeof(Value) * static_cast<size_t>(piece * size)));
  if (leveled) definition_.resize(std::max(definition_.size(), static_cast<size_t>(piece * size)));
  if (plain.list_size > 0) {
    repetition_.resize(definition_.size());
    list_.assign(static_cast<size_t>(size), 1);
    list_[0] = 0;
  }
  auto* const values = reinterpret_cast<Value*>(values_.data());
  int16_t* const definition = leveled ? definition_.data() : nullptr;
  int16_t* const repetition = plain.list_size > 0 ? repetition_.data() : nullptr;

  int64_t held = 0;  // of a row that goes on in the next page
  for (int64_t row = 0; row < rows;) {
    int64_t got = 0;
    const int64_t wanted = std::min(rows - row, piece) * size - held;
    const int64_t levels = typed.ReadBatch(wanted, definition ? definition + held : nullptr,
                                           repetition ? repetition + held : nullptr, values + held, &got);
    if (levels <= 0) {
      throw Error(Code::kCorrupt, fmt::format("column {} has {} rows where the footer promises {}",
                                              plain.column->name, row, rows));
    }
    if (got != levels) {
      int64_t null = held;
      while (definition[null] == reader.descr()->max_definition_level()) ++null;
      throw Error(
          Code::kInvalidArgument,
          fmt::format("column {} {} null in row {} of the row group: a dense column has a value in every "
                      "row; fill it or leave the row out",
                      plain.column->name, plain.list_size > 0 ? "holds a" : "is", row + null / size));
    }
    held += levels;
    const int64_t whole = held / size;
    if (repetition != nullptr && !ListsOf(list_, repetition, whole)) {
      throw Error(Code::kCorrupt,
                  fmt::format("column {} has a list that is not of its type's {} values in rows "
                              "{} to {} of the row group",
                              plain.column->name, size, row, row + whole - 1));
    }
    if constexpr (std::is_same_v<Type, parquet::FLBAType>) {
      PutRuns(values, whole, static_cast<size_t>(row_bytes), column, row, sink);
    } else if (whole > 0) {
      sink.Put(column, row, whole, reinterpret_cast<const uint8_t*>(values));
    }
    row += whole;
    held -= whole * size;
    std::copy_n(values + whole * size, held, values);
    if (leveled) std::copy_n(definition + whole * size, held, definition);
    if (repetition != nullptr) std::copy_n(repetition + whole * size, held, repetition);
  }
}

}  // namespace strop::feed
