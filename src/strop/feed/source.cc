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
#include "strop/feed/file_source.h"
#include "strop/feed/flight_plugin.h"

namespace strop::feed {
namespace {

// The bytes of the array's rows when they lie dense in memory, else null.
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

}  // namespace

RowSink::~RowSink() = default;
ChunkReader::~ChunkReader() = default;
Source::~Source() = default;

std::shared_ptr<Source> OpenSource(const std::string& uri, const std::vector<std::string>& columns) {
  if (uri.starts_with("grpc://") || uri.starts_with("grpc+tcp://")) return Flight().open(uri, columns);
  return OpenFiles(data::ResolveFiles(uri), columns);
}

std::vector<data::Column> ProjectColumns(const arrow::Schema& schema, const std::vector<std::string>& columns,
                                         const std::string& where) {
  if (columns.empty()) {
    std::vector<data::Column> all = data::DescribeSchema(schema);
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
    chosen.push_back(data::DescribeColumn(*field));
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
      if (const uint8_t* dense = DenseRows(*array->data()); dense != nullptr) {
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
