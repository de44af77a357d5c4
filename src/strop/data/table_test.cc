#include <fstream>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include "strop/base/file.h"
#include "strop/base/rng.h"
#include "strop/data/source_file.h"
#include "strop/data/table.h"
#include "strop/data/test_support.h"

namespace strop::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TableTest : public FolderTest {
 protected:
  // `rows` images of 3x4 float32 and their labels, from `first`.
  static std::shared_ptr<arrow::Table> Images(int64_t rows, int64_t first = 0) {
    Tensor image = Tensor::New(DType::kF32, {rows, 3, 4});
    Tensor label = Tensor::New(DType::kI64, {rows});
    for (int64_t i = 0; i < rows * 12; ++i)
      image.As<float>()[static_cast<size_t>(i)] = static_cast<float>(first * 12 + i);
    for (int64_t i = 0; i < rows; ++i) label.As<int64_t>()[static_cast<size_t>(i)] = first + i;
    std::shared_ptr<arrow::Field> image_field, label_field;
    const auto images = TensorToColumn(image, {"image", Role::kInput}, &image_field);
    const auto labels = TensorToColumn(label, {"label", Role::kLabel}, &label_field);
    return arrow::Table::Make(arrow::schema({image_field, label_field}), {images, labels});
  }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
};

TEST_F(TableTest, ParquetKeepsValuesRolesAndShapes) {
  for (const char* compression : {"none", "lz4", "snappy", "zstd"}) {
    WriteParquet(*Images(1000), Path("a.parquet"), {.row_group_bytes = 4096, .compression = compression});
    const auto tensors = ReadTensors(Path("a.parquet"), {});
    ASSERT_EQ(tensors.at("image").shape(), (Shape{1000, 3, 4}));
    EXPECT_EQ(tensors.at("image").As<float>()[11'999], 11'999);
    EXPECT_EQ(tensors.at("label").As<int64_t>()[999], 999);
    const auto columns = DescribeSchema(*ReadSchema(Path("a.parquet")));
    EXPECT_EQ(columns[0].role, Role::kInput);
    EXPECT_EQ(columns[1].role, Role::kLabel);
  }
}

TEST_F(TableTest, RowGroupsHaveTheStatedSize) {
  WriteParquet(*Images(1000), Path("a.parquet"), {.row_group_bytes = 5600});  // of 56 bytes a row
  const auto reader = OpenParquet(Path("a.parquet"), false);
  EXPECT_EQ(reader->num_row_groups(), 10);
  EXPECT_EQ(reader->parquet_reader()->metadata()->RowGroup(0)->num_rows(), 100);
}

TEST_F(TableTest, ColumnsAreChosenInTheOrderAsked) {
  WriteParquet(*Images(10), Path("a.parquet"));
  EXPECT_THAT(ReadTable(Path("a.parquet"), {"label", "image"})->schema()->field_names(),
              ElementsAre("label", "image"));
  const Error error = Thrown([&] { ReadTable(Path("a.parquet"), {"imag"}); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("no column imag"));
  EXPECT_THAT(error.what(), HasSubstr("image, label"));
}

TEST_F(TableTest, NestedColumnsAreChosenWhole) {
  const auto labels = Images(4)->column(1)->chunk(0);
  const auto pair = *arrow::StructArray::Make({labels, labels}, std::vector<std::string>{"a", "b"});
  const auto list = *arrow::FixedSizeListArray::FromArrays(*arrow::Concatenate({labels, labels}), 2);
  const auto table = arrow::Table::Make(
      arrow::schema({arrow::field("pair", pair->type()), arrow::field("list", list->type()),
                     arrow::field("x", arrow::int64())}),
      {pair, list, labels});
  WriteParquet(*table, Path("a.parquet"));
  const auto read = ReadTensors(Path("a.parquet"), {"list", "x"});
  EXPECT_THAT(read.at("list").As<int64_t>(), ElementsAre(0, 1, 2, 3, 0, 1, 2, 3));
  EXPECT_THAT(read.at("x").As<int64_t>(), ElementsAre(0, 1, 2, 3));
}

TEST_F(TableTest, IpcFilesAndStreamsAreKnownByContent) {
  const auto table = Images(7);
  for (const bool stream : {false, true}) {
    const auto sink = *arrow::io::FileOutputStream::Open(Path("a.bin"));
    const auto writer = stream ? *arrow::ipc::MakeStreamWriter(sink, table->schema())
                               : *arrow::ipc::MakeFileWriter(sink, table->schema());
    ASSERT_TRUE(writer->WriteTable(*table, 3).ok());
    ASSERT_TRUE(writer->Close().ok());
    ASSERT_TRUE(sink->Close().ok());
    EXPECT_TRUE(ReadTable(Path("a.bin"))->Equals(*table));
    EXPECT_TRUE(ReadSchema(Path("a.bin"))->Equals(table->schema(), true));
    EXPECT_EQ(ReadTensors(Path("a.bin"), {"label"}).at("label").size(), 7);
  }
}

TEST_F(TableTest, AGlobIsItsFilesInOrder) {
  for (int i = 0; i < 3; ++i) WriteParquet(*Images(2, 2 * i), Path("part-" + std::to_string(i) + ".parquet"));
  EXPECT_EQ(ResolveFiles(Path("part-*.parquet")).size(), 3u);
  EXPECT_THAT(ReadTensors("file://" + Path("part-*.parquet"), {"label"}).at("label").As<int64_t>(),
              ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(Thrown([&] { ResolveFiles(Path("part-9*.parquet")); }).code(), Code::kNotFound);
  EXPECT_EQ(Thrown([&] { ResolveFiles("s3://bucket/a.parquet"); }).code(), Code::kUnsupported);
}

TEST_F(TableTest, FilesOfDifferentColumnsAreNotOneSource) {
  WriteParquet(*Images(2), Path("a.parquet"));
  WriteParquet(*(*Images(2)->RemoveColumn(0)), Path("b.parquet"));
  const Error error = Thrown([&] { ReadTable(Path("*.parquet")); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("b.parquet"));
}

TEST_F(TableTest, AParquetFileCutShortIsNamedWithItsRemedy) {
  WriteParquet(*Images(1000), Path("a.parquet"));
  const std::string whole = ReadFile(Path("a.parquet"));
  for (const size_t size : {size_t{5}, whole.size() / 2, whole.size() - 9, whole.size() - 1}) {
    std::ofstream(Path("a.parquet"), std::ios::trunc) << whole.substr(0, size);
    const Error error = Thrown([&] { ReadTable(Path("a.parquet")); });
    EXPECT_EQ(error.code(), Code::kCorrupt) << size;
    EXPECT_THAT(error.what(), HasSubstr("a.parquet is cut short"));
    EXPECT_THAT(error.what(), HasSubstr("copy it again"));
  }
}

// Whatever byte is wrong, the answer is an Error or the very same rows; the page checksums see to the latter.
TEST_F(TableTest, DamageIsNeverReadAsData) {
  const auto table = Images(200);
  WriteParquet(*table, Path("a.parquet"), {.row_group_bytes = 2048});
  const std::string whole = ReadFile(Path("a.parquet"));
  Rng rng(7);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string damaged = whole;
    damaged[rng.Below(damaged.size() - 4)] ^= static_cast<char>(1 + rng.Below(255));
    std::ofstream(Path("a.parquet"), std::ios::trunc) << damaged;
    try {
      const auto read = ReadTable(Path("a.parquet"), {"image", "label"});
      EXPECT_TRUE(read->Equals(*table)) << i;
    } catch (const Error& error) {
      ++refused;
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_GT(refused, 150);
}

TEST_F(TableTest, OtherFilesAreRefused) {
  EXPECT_EQ(Thrown([&] { ReadTable(Path("none.parquet")); }).code(), Code::kNotFound);
  std::ofstream(Path("a.csv")) << "a,b\n1,2\n3,4\n5,6\n7,8\n";
  const Error error = Thrown([&] { ReadTable(Path("a.csv")); });
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr("neither Parquet nor Arrow IPC"));
  std::ofstream(Path("empty"));
  EXPECT_EQ(Thrown([&] { ReadTable(Path("empty")); }).code(), Code::kCorrupt);
  EXPECT_EQ(Thrown([&] { ReadTable(folder_.string()); }).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace strop::data
