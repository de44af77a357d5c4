#include "strop/watch/capture_row.h"

#include <utility>

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/table.h"

namespace strop::watch {

store::Blob EncodeRow(const TensorMap& row) {
  arrow::FieldVector fields;
  arrow::ChunkedArrayVector columns;
  for (const auto& [name, tensor] : row) {
    if (tensor.shape().empty() || tensor.shape()[0] != 1) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} {} is not one row: expected [1, …]", name, ShapeText(tensor.shape())));
    }
    std::shared_ptr<arrow::Field> field;
    columns.push_back(data::TensorToColumn(tensor, {name, data::Role::kInput}, &field));
    fields.push_back(std::move(field));
  }
  const auto table = arrow::Table::Make(arrow::schema(std::move(fields)), std::move(columns), 1);
  const auto sink = arrow::io::BufferOutputStream::Create();
  data::Check(sink.status(), "encoding a row");
  auto writer = arrow::ipc::MakeStreamWriter(*sink, table->schema());
  data::Check(writer.status(), "encoding a row");
  data::Check((*writer)->WriteTable(*table), "encoding a row");
  data::Check((*writer)->Close(), "encoding a row");
  const auto buffer = (*sink)->Finish();
  data::Check(buffer.status(), "encoding a row");
  return {(*buffer)->data(), (*buffer)->data() + (*buffer)->size()};
}

TensorMap DecodeRow(const store::Blob& bytes) {
  try {
    const auto buffer = std::make_shared<arrow::Buffer>(bytes.data(), static_cast<int64_t>(bytes.size()));
    auto reader =
        arrow::ipc::RecordBatchStreamReader::Open(std::make_shared<arrow::io::BufferReader>(buffer));
    data::Check(reader.status(), "decoding a row");
    const auto table = (*reader)->ToTable();
    data::Check(table.status(), "decoding a row");
    if ((*table)->num_rows() != 1) throw Error(Code::kCorrupt, fmt::format("{} rows", (*table)->num_rows()));
    TensorMap row;
    for (int i = 0; i < (*table)->num_columns(); ++i) {
      const auto column = data::DescribeColumn(*(*table)->schema()->field(i));
      row[column.name] = data::ColumnToTensor(*(*table)->column(i), column, 0, 1);
    }
    return row;
  } catch (const Error& error) {
    throw Error(Code::kCorrupt,
                fmt::format("a captured row of {} bytes is not an Arrow stream of one row: {}", bytes.size(),
                            error.what()));
  }
}

}  // namespace strop::watch
