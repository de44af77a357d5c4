#include "strop/feed/source.h"

#include <algorithm>
#include <set>

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "strop/base/error.h"
#include "strop/data/source_file.h"
#include "strop/feed/files/file_source.h"
#include "strop/feed/flight_plugin.h"

namespace strop::feed {
namespace {

// What `describe` says of columns; its errors name the schema.
template <class F>
auto Located(const std::string& where, F describe) {
  try {
    return describe();
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", where, error.what()));
  }
}

[[noreturn]] void ThrowNull(const data::Column& column, int64_t row, std::string_view what) {
  throw Error(Code::kInvalidArgument,
              fmt::format("column {} {} in row {}: fill it or leave the row out", column.name, what, row));
}

// Rows of text or binary, where they lie.
template <class Array>
void PutBytes(const arrow::Array& values, size_t column, int64_t row, RowSink& sink) {
  const auto& array = static_cast<const Array&>(values);
  for (int64_t i = 0; i < array.length(); ++i) {
    const auto bytes = array.GetView(i);
    sink.PutRagged(column, row + i, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
}

// Rows of lists: where they lie when the elements are dense, else through `scratch`.
template <class Array>
void PutLists(const arrow::Array& values, const data::Column& described, size_t column, int64_t row,
              std::vector<uint8_t>& scratch, RowSink& sink) {
  const auto& array = static_cast<const Array&>(values);
  data::Column element = described;
  element.shape.erase(element.shape.begin());
  const uint8_t* const dense = DenseRows(*array.values()->data());
  const arrow::ChunkedArray elements(array.values());
  for (int64_t i = 0; i < array.length(); ++i) {
    const int64_t begin = array.value_offset(i), end = array.value_offset(i + 1);
    const size_t bytes = static_cast<size_t>(end - begin) * element.row_bytes();
    if (dense != nullptr) {
      sink.PutRagged(column, row + i, dense + static_cast<size_t>(begin) * element.row_bytes(), bytes);
      continue;
    }
    scratch.resize(bytes);
    try {
      data::CopyColumn(elements, element, begin, end, scratch.data());
    } catch (const Error& error) {
      if (error.code() != Code::kInvalidArgument) throw;
      ThrowNull(described, row + i, "holds a null");
    }
    sink.PutRagged(column, row + i, scratch.data(), bytes);
  }
}

void PutRaggedArray(const arrow::Array& values, const data::Column& described, size_t column, int64_t row,
                    std::vector<uint8_t>& scratch, RowSink& sink) {
  if (values.null_count() > 0) {
    int64_t i = 0;
    while (!values.IsNull(i)) ++i;
    ThrowNull(described, row + i, "is null");
  }
  switch (values.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return PutBytes<arrow::BinaryArray>(values, column, row, sink);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return PutBytes<arrow::LargeBinaryArray>(values, column, row, sink);
    case arrow::Type::LIST:
      return PutLists<arrow::ListArray>(values, described, column, row, scratch, sink);
    case arrow::Type::LARGE_LIST:
      return PutLists<arrow::LargeListArray>(values, described, column, row, scratch, sink);
    default:
      throw Error(Code::kInternal, fmt::format("column {} is ragged and of type {}", described.name,
                                               values.type()->ToString()));
  }
}

}  // namespace

const uint8_t* DenseRows(const arrow::ArrayData& array) {
  const arrow::DataType* type = array.type.get();
  if (type->id() == arrow::Type::EXTENSION) {
    type = static_cast<const arrow::ExtensionType*>(type)->storage_type().get();
  }
  if (array.MayHaveNulls()) return nullptr;
  int64_t first = array.offset;
  const arrow::ArrayData* values = &array;
  if (type->id() == arrow::Type::FIXED_SIZE_LIST) {
    values = array.child_data[0].get();
    if (values->MayHaveNulls()) return nullptr;
    first = first * static_cast<const arrow::FixedSizeListType*>(type)->list_size() + values->offset;
    type = values->type.get();
  }
  const int bits = type->bit_width();
  const bool dense = (arrow::is_primitive(type->id()) || type->id() == arrow::Type::FIXED_SIZE_BINARY) &&
                     bits >= 8 && values->buffers[1];
  return dense ? values->buffers[1]->data() + first * (bits / 8) : nullptr;
}

RowSink::~RowSink() = default;

void RowSink::PutRows(size_t column, std::span<const int64_t> rows, const uint8_t* values, size_t row_bytes) {
  for (size_t i = 0; i < rows.size(); ++i) {
    Put(column, static_cast<int64_t>(i), 1, values + static_cast<size_t>(rows[i]) * row_bytes);
  }
}

RowPlace RowSink::Place(size_t, int64_t) { return {}; }
void RowSink::Placed(size_t, int64_t) {}
ChunkReader::~ChunkReader() = default;
Source::~Source() = default;

int64_t ChunkReader::ReadAround(int64_t chunk, RowSink& sink) {
  Read(chunk, sink);
  return 0;
}

void ChunkReader::ReadRows(int64_t, std::span<const int64_t>, RowSink&) {
  throw Error(Code::kInternal, "a reader of chunks was asked for rows");
}

void PutColumn::Put(size_t, int64_t row, int64_t count, const uint8_t* values) {
  sink_.Put(column_, first_ + row, count, values);
}
void PutColumn::PutRagged(size_t, int64_t row, const uint8_t* values, size_t bytes) {
  sink_.PutRagged(column_, first_ + row, values, bytes);
}
RowPlace PutColumn::Place(size_t, int64_t row) { return sink_.Place(column_, first_ + row); }
void PutColumn::Placed(size_t, int64_t row) { sink_.Placed(column_, first_ + row); }

std::shared_ptr<Source> OpenSource(const std::string& uri, const std::vector<std::string>& columns,
                                   const FileSystem& file_system) {
  if (uri.starts_with("grpc://") || uri.starts_with("grpc+tcp://")) return Flight().open(uri, columns);
  return OpenFiles(data::ResolveFiles(uri), columns, file_system);
}

std::vector<data::Column> ProjectColumns(const arrow::Schema& schema, const std::vector<std::string>& columns,
                                         const std::string& where) {
  if (columns.empty()) {
    std::vector<data::Column> all = Located(where, [&] { return data::DescribeSchema(schema); });
    if (all.empty()) {
      throw Error(Code::kUnsupported, fmt::format("{} has no column with a dense form; its columns: {}",
                                                  where, fmt::join(schema.field_names(), ", ")));
    }
    return all;
  }
  std::vector<data::Column> chosen;
  std::set<std::string> seen;
  for (const std::string& name : columns) {
    const auto field = schema.GetFieldByName(name);
    if (!field) {
      throw Error(Code::kInvalidArgument, fmt::format("{} has no column \"{}\"; its columns: {}", where, name,
                                                      fmt::join(schema.field_names(), ", ")));
    }
    if (!seen.insert(name).second) {
      throw Error(Code::kInvalidArgument, fmt::format("column \"{}\" is asked for twice", name));
    }
    chosen.push_back(Located(where, [&] { return data::DescribeRagged(*field); }));
  }
  return chosen;
}

void PutTable(const arrow::Table& table, const std::vector<data::Column>& columns,
              std::vector<uint8_t>& scratch, RowSink& sink) {
  for (size_t c = 0; c < columns.size(); ++c) {
    const arrow::ChunkedArray& values = *table.GetColumnByName(columns[c].name);
    int64_t row = 0;
    for (const auto& array : values.chunks()) {
      const int64_t rows = array->length();
      if (columns[c].ragged()) {
        PutRaggedArray(*array, columns[c], c, row, scratch, sink);
      } else if (const uint8_t* dense = DenseRows(*array->data()); dense != nullptr) {
        sink.Put(c, row, rows, dense);
      } else {
        scratch.resize(columns[c].row_bytes() * static_cast<size_t>(rows));
        data::CopyColumn(values, columns[c], row, row + rows, scratch.data());
        sink.Put(c, row, rows, scratch.data());
      }
      row += rows;
    }
  }
}

}  // namespace strop::feed
