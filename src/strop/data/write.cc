#include <algorithm>
#include <utility>

#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <fmt/format.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "strop/base/file.h"
#include "strop/data/table.h"

namespace strop::data {
namespace {

parquet::Compression::type ParseCompression(const std::string& name) {
  if (name == "none") return parquet::Compression::UNCOMPRESSED;
  if (name == "lz4") return parquet::Compression::LZ4;
  if (name == "snappy") return parquet::Compression::SNAPPY;
  if (name == "zstd") return parquet::Compression::ZSTD;
  throw Error(Code::kInvalidArgument,
              fmt::format("compression \"{}\": expected none, lz4, snappy or zstd", name));
}

// Rows of the table that take about so many bytes.
int64_t RowsOf(const arrow::Table& table, int64_t bytes) {
  const auto all = arrow::util::ReferencedBufferSize(table);
  Check(all.status(), "measuring a table");
  const int64_t row_bytes = std::max<int64_t>(1, *all / std::max<int64_t>(1, table.num_rows()));
  return std::max<int64_t>(1, bytes / row_bytes);
}

}  // namespace

void ParquetOptions::Validate() const {
  if (row_group_bytes < 1) {
    throw Error(Code::kInvalidArgument,
                fmt::format("row_group_bytes is {}: expected 1 or more", row_group_bytes));
  }
  ParseCompression(compression);
}

void WriteArrow(const arrow::Table& table, const std::filesystem::path& path, int64_t batch_bytes) {
  const int64_t batch_rows = RowsOf(table, batch_bytes);
  ReplaceFileAtomically(path, [&](const std::filesystem::path& temporary) {
    auto sink = arrow::io::FileOutputStream::Open(temporary.string());
    Check(sink.status(), "creating " + temporary.string());
    auto writer = arrow::ipc::MakeFileWriter(*sink, table.schema());
    Check(writer.status(), "writing " + path.string());
    Check((*writer)->WriteTable(table, batch_rows), "writing " + path.string());
    Check((*writer)->Close(), "writing " + path.string());
    Check((*sink)->Close(), "writing " + path.string());
  });
}

void WriteParquet(const arrow::Table& table, const std::filesystem::path& path,
                  const ParquetOptions& options) {
  options.Validate();
  const int64_t group_rows = RowsOf(table, options.row_group_bytes);

  parquet::WriterProperties::Builder properties;
  properties.compression(ParseCompression(options.compression))
      ->enable_page_checksum()
      ->max_row_group_length(group_rows);
  for (const auto& field : table.schema()->fields()) {
    // A dictionary of images is the images again, and would cost the reader its memcpy; their smallest and
    // largest say nothing either.
    if (field->type()->id() == arrow::Type::FIXED_SIZE_BINARY) {
      properties.disable_dictionary(field->name())->disable_statistics(field->name());
    }
  }
  ReplaceFileAtomically(path, [&](const std::filesystem::path& temporary) {
    auto sink = arrow::io::FileOutputStream::Open(temporary.string());
    Check(sink.status(), "creating " + temporary.string());
    Check(
        parquet::arrow::WriteTable(table, arrow::default_memory_pool(), *sink, group_rows, properties.build(),
                                   parquet::ArrowWriterProperties::Builder().store_schema()->build()),
        "writing " + path.string());
    Check((*sink)->Close(), "writing " + path.string());
  });
}

}  // namespace strop::data
