#include <filesystem>
#include <string>
#include <vector>

#include <arrow/csv/api.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/test_error.h"
#include "strop/feed/files/line_chunks.h"
#include "strop/feed/files/test_sink.h"

namespace strop::feed {
namespace {

using test::BytesOf;
using test::ReadRows;
using test::Rows;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class CsvChunks : public test::SourceTest {
 protected:
  // Rows with what makes borders hard to find: quoted line ends and delimiters, doubled quotes, empty lines.
  static std::string Text(const std::string& eol, bool last_eol, char delimiter = ',') {
    std::string text = fmt::format("id{0}score{0}note{1}", delimiter, eol);
    for (int row = 0; row < 60; ++row) {
      const std::string notes[] = {fmt::format("row {}", row),
                                   fmt::format("\"two{}lines\"", eol),
                                   "\"say \"\"hi\"\"\"",
                                   fmt::format("\"a{}b\"", delimiter),
                                   "",
                                   "in\"side",
                                   "\"\"",
                                   "caf\xc3\xa9"};
      text += fmt::format("{1}{0}{2}{0}{3}", delimiter, row, row < 30 ? "7" : "7.5", notes[row % 8]);
      if (row < 59 || last_eol) text += eol;
      if (row % 11 == 0 && row < 59) text += eol;
    }
    return text;
  }

  static Rows ReadWhole(const std::filesystem::path& path, char delimiter = ',') {
    auto parse = arrow::csv::ParseOptions::Defaults();
    parse.newlines_in_values = true;
    parse.delimiter = delimiter;
    const auto reader = arrow::csv::TableReader::Make(
        arrow::io::default_io_context(), arrow::io::ReadableFile::Open(path.string()).ValueOrDie(),
        arrow::csv::ReadOptions::Defaults(), parse, arrow::csv::ConvertOptions::Defaults());
    const auto table = reader.ValueOrDie()->Read().ValueOrDie();
    return test::RowsOf(*table, table->schema()->field_names());
  }

  Error OpenError(std::string_view text, const LineOptions& options = {}) const {
    const auto path = Write("bad.csv", text);
    return Thrown([&] { OpenCsvFile(path, options); });
  }
};

TEST_F(CsvChunks, RowsAreThoseOfTheWholeFileWhateverTheBlock) {
  for (const std::string eol : {"\n", "\r\n", "\r"}) {
    for (const bool last_eol : {true, false}) {
      const auto path = Write("rows.csv", Text(eol, last_eol));
      const Rows whole = ReadWhole(path);
      ASSERT_EQ(whole.at("id").size(), 60u);
      for (int64_t block = 1; block < 2000; block = block < 12 ? block + 1 : block * 3 / 2) {
        const auto file = OpenCsvFile(path, {block, 1 << 20})();
        ASSERT_EQ(ReadRows(*file, {"id", "score", "note"}), whole)
            << block << " " << testing::PrintToString(eol);
        if (block == 1) {
          EXPECT_EQ(file->ChunkRows().size(), 60u);
        }
      }
    }
  }
}

TEST_F(CsvChunks, TabsDelimitATsv) {
  const auto path = Write("rows.tsv", Text("\n", true, '\t'));
  EXPECT_EQ(ReadRows(*OpenCsvFile(path, {100, 1 << 20})(), {"id", "score", "note"}), ReadWhole(path, '\t'));
}

TEST_F(CsvChunks, AByteOrderMarkIsNoPartOfTheFirstName) {
  const auto path = Write("bom.csv", "\xef\xbb\xbfid,x\n1,2\n");
  EXPECT_EQ(OpenCsvFile(path)()->FullSchema()->field_names(), (std::vector<std::string>{"id", "x"}));
}

TEST_F(CsvChunks, TypesHoldForEveryBlock) {
  const auto path = Write("widen.csv", "a,b,c,d\n1,,2020-01-01,5\n2.5,x,hello,6\n3,4,7,7\n");
  const auto file = OpenCsvFile(path, {1, 1 << 20})();
  const auto schema = file->FullSchema();
  EXPECT_TRUE(schema->field(0)->type()->Equals(arrow::float64()));
  EXPECT_TRUE(schema->field(1)->type()->Equals(arrow::utf8()));
  EXPECT_TRUE(schema->field(2)->type()->Equals(arrow::utf8()));
  EXPECT_TRUE(schema->field(3)->type()->Equals(arrow::int64()));
  const Rows rows = ReadRows(*file, {"d", "a", "c", "b"});
  EXPECT_THAT(rows.at("a"), ElementsAre(BytesOf(1.0), BytesOf(2.5), BytesOf(3.0)));
  EXPECT_THAT(rows.at("b"), ElementsAre("", "x", "4"));
  EXPECT_THAT(rows.at("c"), ElementsAre("2020-01-01", "hello", "7"));
  EXPECT_THAT(rows.at("d"), ElementsAre(BytesOf<int64_t>(5), BytesOf<int64_t>(6), BytesOf<int64_t>(7)));
}

TEST_F(CsvChunks, ATableHasTheColumnsInTheOrderAsked) {
  const auto path = Write("rows.csv", "a,b,c\n1,x,2\n3,y,4\n");
  const auto source = OpenFiles({path}, {"c", "b"});
  EXPECT_EQ(source->chunk_rows(), (std::vector<int64_t>{2}));
  const auto table = source->NewReader()->ReadTable(0);
  EXPECT_EQ(table->schema()->field_names(), (std::vector<std::string>{"c", "b"}));
  EXPECT_TRUE(table->schema()->Equals(*source->schema()));
}

TEST_F(CsvChunks, WithoutNamesTheDenseColumnsAreRead) {
  const auto source = OpenFiles({Write("rows.csv", "a,b,c\n1,x,2.5\n")}, {});
  ASSERT_EQ(source->columns().size(), 2u);
  EXPECT_EQ(source->columns()[0].name, "a");
  EXPECT_EQ(source->columns()[1].name, "c");
}

TEST_F(CsvChunks, FilesAreLaidEndToEnd) {
  const auto source = OpenFiles({Write("1.csv", "a\n1\n"), Write("2.CSV", "a\n2\n3\n")}, {});
  EXPECT_THAT(ReadRows(*source).at("a"),
              ElementsAre(BytesOf<int64_t>(1), BytesOf<int64_t>(2), BytesOf<int64_t>(3)));
}

TEST_F(CsvChunks, AFileWithoutRowsIsRefused) {
  for (const char* text : {"", "\n\r\n", "\xef\xbb\xbf"}) {
    const Error error = OpenError(text);
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("bad.csv"), HasSubstr("is empty")));
  }
  for (const char* text : {"a,b", "a,b\n", "a,b\n\n\n"}) {
    const Error error = OpenError(text);
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("bad.csv"), HasSubstr("a header and no rows")));
  }
}

TEST_F(CsvChunks, AColumnThatIsThereTwiceIsRefused) {
  EXPECT_THAT(OpenError("a,b,a\n1,2,3\n").what(),
              AllOf(HasSubstr("line 1"), HasSubstr("\"a\" is there twice")));
}

TEST_F(CsvChunks, ARowOfAnotherWidthIsNamed) {
  const Error error = OpenError("a,b\n1,\"x\ny\"\n2,y\n3\n4,z\n");
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("bad.csv, line 5 (byte 16)"), HasSubstr("Expected 2 columns, got 1"),
                    HasSubstr("\"3\""), HasSubstr("leave it out")));
}

TEST_F(CsvChunks, AQuoteThatNeverClosesIsNamed) {
  const Error error = OpenError("a,b\n1,x\n2,\"y\n3,z\n");
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("begins in line 3 (byte 8)"), HasSubstr("never closes")));
  const Error limit = OpenError("a,b\n1,\"x" + std::string(200, '\n'), {16, 100});
  EXPECT_THAT(limit.what(), AllOf(HasSubstr("line 2 (byte 4)"), HasSubstr("longer than 100 bytes")));
}

TEST_F(CsvChunks, TextThatIsNotUtf8IsNamed) {
  const Error error = OpenError("a,b\n1,x\n2,caf\xe9\n3,y\n");
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("line 3 (byte 8)"), HasSubstr("not UTF-8"), HasSubstr("caf\\xe9")));
}

TEST_F(CsvChunks, AMissingNumberIsNamedByRow) {
  const auto file = OpenCsvFile(Write("null.csv", "a,b\n1,x\n,y\n3,z\n"))();
  const Error error = Thrown([&] { ReadRows(*file, {"a"}); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("null.csv"), HasSubstr("line 2"), HasSubstr("column a is null in row 1")));
}

TEST_F(CsvChunks, AFileThatChangesMidEpochIsRefused) {
  const auto path = Write("rows.csv", "a,b\n1,x\n2,y\n");
  const auto open = OpenCsvFile(path);
  const auto file = open();
  Write("rows.csv", "a,b\n1,x\n2,y\n3,z\n");
  const Error error = Thrown([&] { ReadRows(*file, {"a"}); });
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("rows.csv was changed"), HasSubstr("12 bytes"), HasSubstr("16 now")));
}

TEST_F(CsvChunks, AValueThatClashesWithTheIndexIsNamed) {
  const auto path = Write("rows.csv", "a,b\n1,x\n2,y\n");
  const auto time = std::filesystem::last_write_time(path);
  const auto file = OpenCsvFile(path)();
  Write("rows.csv", "a,b\n1,x\nq,y\n");
  std::filesystem::last_write_time(path, time);
  const Error error = Thrown([&] { ReadRows(*file, {"a"}); });
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("line 3 (byte 8)"), HasSubstr("int64"), HasSubstr("\"q,y\""),
                                  HasSubstr("do not change a file")));
}

}  // namespace
}  // namespace strop::feed
