#pragma once

// Small Parquet and Arrow files for tests: every column of a row is derived from the row's number, so that a
// batch proves itself.

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <arrow/builder.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/writer.h>

#include "strop/base/test_folder.h"
#include "strop/data/table.h"

namespace strop::feed::test {

inline constexpr int kImageBytes = 12;

inline uint8_t ImageByte(int64_t row, int64_t i) { return static_cast<uint8_t>(row * 31 + i * 7); }

// id int64; image fixed_size_binary(12) as uint8[3,4]; score float; wide fixed_size_list<double>[2]; flag
// bool; small int8; note string, which has no dense form.
inline std::shared_ptr<arrow::Table> MakeTable(int64_t first, int64_t rows, bool with_null = false) {
  arrow::Int64Builder id;
  arrow::FixedSizeBinaryBuilder image(arrow::fixed_size_binary(kImageBytes));
  arrow::FloatBuilder score;
  const auto values = std::make_shared<arrow::DoubleBuilder>();
  arrow::FixedSizeListBuilder wide(arrow::default_memory_pool(), values, 2);
  arrow::BooleanBuilder flag;
  arrow::Int8Builder small;
  arrow::StringBuilder note;
  arrow::Status status;
  for (int64_t row = first; row < first + rows; ++row) {
    uint8_t bytes[kImageBytes];
    for (int i = 0; i < kImageBytes; ++i) bytes[i] = ImageByte(row, i);
    status &= id.Append(row);
    status &= image.Append(bytes);
    status &=
        with_null && row == first + rows - 1 ? score.AppendNull() : score.Append(static_cast<float>(row) / 2);
    status &= wide.Append();
    status &= values->AppendValues({static_cast<double>(row), static_cast<double>(-row)});
    status &= flag.Append(row % 3 == 0);
    status &= small.Append(static_cast<int8_t>(row % 100));
    status &= note.Append("row " + std::to_string(row));
  }
  data::Check(status, "building a table");
  const auto metadata =
      arrow::key_value_metadata({"strop.role", "strop.dtype", "strop.shape"}, {"input", "uint8", "3,4"});
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64(), false),
                     arrow::field("image", arrow::fixed_size_binary(kImageBytes), false, metadata),
                     arrow::field("score", arrow::float32()),
                     arrow::field("wide", arrow::fixed_size_list(arrow::float64(), 2)),
                     arrow::field("flag", arrow::boolean()), arrow::field("small", arrow::int8()),
                     arrow::field("note", arrow::utf8())});
  return arrow::Table::Make(
      schema, {id.Finish().ValueOrDie(), image.Finish().ValueOrDie(), score.Finish().ValueOrDie(),
               wide.Finish().ValueOrDie(), flag.Finish().ValueOrDie(), small.Finish().ValueOrDie(),
               note.Finish().ValueOrDie()});
}

inline void WriteParquetFile(const std::filesystem::path& path, const arrow::Table& table, int64_t group_rows,
                             bool checksums = false, bool compressed = false) {
  parquet::WriterProperties::Builder builder;
  if (checksums) builder.enable_page_checksum();
  if (compressed) builder.compression(parquet::Compression::ZSTD);
  if (!compressed) builder.disable_dictionary();
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  auto file = arrow::io::FileOutputStream::Open(path.string());
  data::Check(file.status(), "opening " + path.string());
  data::Check(parquet::arrow::WriteTable(table, arrow::default_memory_pool(), *file, group_rows,
                                         builder.build(), arrow_properties),
              "writing " + path.string());
  data::Check((*file)->Close(), "closing " + path.string());
}

inline void WriteArrowFile(const std::filesystem::path& path, const arrow::Table& table, int64_t batch_rows) {
  auto file = arrow::io::FileOutputStream::Open(path.string());
  data::Check(file.status(), "opening " + path.string());
  auto writer = arrow::ipc::MakeFileWriter(*file, table.schema());
  data::Check(writer.status(), "writing " + path.string());
  data::Check((*writer)->WriteTable(table, batch_rows), "writing " + path.string());
  data::Check((*writer)->Close(), "writing " + path.string());
  data::Check((*file)->Close(), "closing " + path.string());
}

// A folder of its own for one test, gone with it.
class Folder {
 public:
  std::filesystem::path operator/(const std::string& name) const { return folder_.path() / name; }

 private:
  TestFolder folder_;
};

}  // namespace strop::feed::test
