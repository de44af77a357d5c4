#include "strop/feed/files/parquet_chunks.h"

#include <arrow/ipc/writer.h>
#include <arrow/util/base64.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/test_error.h"
#include "strop/feed/files/test_sink.h"
#include "strop/feed/test_files.h"

namespace strop::feed {
namespace {

using testing::HasSubstr;

class ParquetChunksTest : public test::SourceTest {
 protected:
  std::filesystem::path Path() const { return folder_.path() / "a.parquet"; }
  std::shared_ptr<Source> Open() const { return OpenFiles({Path()}, {}); }

  // Pages of so many bytes: a list then goes on in the next page.
  void WriteTable(const arrow::Table& table, int64_t page_bytes, int64_t group_rows,
                  std::shared_ptr<const arrow::Schema> claimed = nullptr) const {
    parquet::WriterProperties::Builder builder;
    builder.data_pagesize(page_bytes)->write_batch_size(7)->disable_dictionary();
    auto file = arrow::io::FileOutputStream::Open(Path().string()).ValueOrDie();
    const auto keep = parquet::ArrowWriterProperties::Builder().store_schema()->build();
    auto writer =
        parquet::arrow::FileWriter::Open(*table.schema(), arrow::default_memory_pool(), file, builder.build(),
                                         claimed ? parquet::default_arrow_writer_properties() : keep)
            .ValueOrDie();
    data::Check(writer->WriteTable(table, group_rows), "writing");
    if (claimed) {
      const auto bytes = arrow::ipc::SerializeSchema(*claimed).ValueOrDie();
      data::Check(writer->AddKeyValueMetadata(arrow::key_value_metadata(
                      {"ARROW:schema"}, {arrow::util::base64_encode(std::string_view(*bytes))})),
                  "writing");
    }
    data::Check(writer->Close(), "writing");
    data::Check(file->Close(), "writing");
  }

  // Lists of doubles, one a row; nullopt: null.
  static std::shared_ptr<arrow::Table> Lists(
      const std::vector<std::optional<std::vector<std::optional<double>>>>& rows,
      std::shared_ptr<arrow::DataType> type) {
    const auto values = std::make_shared<arrow::DoubleBuilder>();
    arrow::FixedSizeListBuilder fixed(arrow::default_memory_pool(), values, 2);
    arrow::ListBuilder any(arrow::default_memory_pool(), values);
    const bool is_fixed = type->id() == arrow::Type::FIXED_SIZE_LIST;
    arrow::ArrayBuilder& lists = is_fixed ? static_cast<arrow::ArrayBuilder&>(fixed) : any;
    arrow::Status status;
    for (const auto& row : rows) {
      if (!row) {
        status &= lists.AppendNull();
        continue;
      }
      status &= is_fixed ? fixed.Append() : any.Append();
      for (const auto& value : *row) status &= value ? values->Append(*value) : values->AppendNull();
    }
    data::Check(status, "building");
    return arrow::Table::Make(arrow::schema({arrow::field("v", type)}), {lists.Finish().ValueOrDie()});
  }

  Error ReadError() const {
    const auto source = Open();
    return Thrown([&] { test::ReadRows(*source); });
  }

  const std::shared_ptr<arrow::DataType> pairs_ = arrow::fixed_size_list(arrow::float64(), 2);
};

TEST_F(ParquetChunksTest, EverySliceGivesTheSameRows) {
  for (const bool compressed : {false, true}) {
    test::WriteParquetFile(Path(), *test::MakeTable(0, 500), 170, true, compressed);
    const auto source = Open();
    const test::Rows whole = test::ReadRows(*source);
    EXPECT_EQ(whole.at("id").size(), 500U);
    EXPECT_EQ(whole.at("wide").at(321), test::BytesOf(321.0) + test::BytesOf(-321.0));
    for (const int64_t slice : {1, 16, 100, 5000, 1 << 20})
      EXPECT_EQ(test::ReadRows(*source, slice), whole) << slice;
  }
}

TEST_F(ParquetChunksTest, ListsGoOnFromPageToPage) {
  const auto table = test::MakeTable(0, 1000);
  for (const int64_t page : {1, 50, 1000, 1 << 20}) {
    WriteTable(*table, page, 400);
    const auto source = Open();
    const test::Rows whole = test::ReadRows(*source);
    for (int64_t row = 0; row < 1000; ++row) {
      ASSERT_EQ(whole.at("wide").at(static_cast<size_t>(row)),
                test::BytesOf(static_cast<double>(row)) + test::BytesOf(static_cast<double>(-row)));
    }
    for (const int64_t slice : {1, 48, 3000})
      EXPECT_EQ(test::ReadRows(*source, slice), whole) << page << " " << slice;
  }
}

TEST_F(ParquetChunksTest, ANullListIsNamedWithItsRow) {
  WriteTable(*Lists({{{1, 2}}, {{3, 4}}, std::nullopt, {{5, 6}}}, pairs_), 1 << 20, 100);
  EXPECT_THAT(ReadError().what(), HasSubstr("row group 0: column v holds a null in row 2 of the row group"));
}

TEST_F(ParquetChunksTest, ANullInAListIsNamedWithItsRow) {
  WriteTable(*Lists({{{1, 2}}, {{3, std::nullopt}}}, pairs_), 1 << 20, 100);
  const Error error = ReadError();
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("row group 0: column v holds a null in row 1 of the row group"));
}

TEST_F(ParquetChunksTest, AListOfAnotherLengthThanItsTypeIsRefused) {
  const auto any = arrow::list(arrow::float64());
  for (const auto& rows : {std::vector<std::optional<std::vector<std::optional<double>>>>{{{1, 2, 3}}, {{4}}},
                           {{{1, 2}}, {{3, 4, 5}}, {{6}}}}) {
    WriteTable(*Lists(rows, any), 1 << 20, 100, arrow::schema({arrow::field("v", pairs_)}));
    const Error error = ReadError();
    EXPECT_EQ(error.code(), Code::kCorrupt);
    EXPECT_THAT(error.what(), HasSubstr("column v has a list that is not of its type's 2 values"));
  }
}

TEST_F(ParquetChunksTest, ListsThatEndEarlyAreRefused) {
  WriteTable(*Lists({{{1, 2}}, {{3}}}, arrow::list(arrow::float64())), 1 << 20, 100,
             arrow::schema({arrow::field("v", pairs_)}));
  EXPECT_EQ(ReadError().code(), Code::kCorrupt);
}

TEST_F(ParquetChunksTest, RowsAreNotReadOneByOne) {
  test::WriteParquetFile(Path(), *test::MakeTable(0, 10), 5);
  EXPECT_THAT(Open()->WhyChunksOnly(), HasSubstr("encoded"));
}

}  // namespace
}  // namespace strop::feed
