#include <filesystem>
#include <string>
#include <vector>

#include <arrow/io/file.h>
#include <arrow/json/api.h>
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

class JsonChunks : public test::SourceTest {
 protected:
  static std::string Text(const std::string& eol, bool last_eol) {
    std::string text;
    for (int row = 0; row < 50; ++row) {
      text += fmt::format(R"({{"id": {}, "score": {}, "tags": [{}], "note": "a\n\"{}\" caf{}"}})", row,
                          row < 25 ? "7" : "7.5",
                          row % 3 == 0   ? ""
                          : row % 3 == 1 ? "1"
                                         : "1, 2.5",
                          row, "\xc3\xa9");
      if (row < 49 || last_eol) text += eol;
      if (row % 7 == 0 && row < 49) text += eol;
    }
    return text;
  }

  Error OpenError(std::string_view text, const LineOptions& options = {}) const {
    const auto path = Write("bad.jsonl", text);
    return Thrown([&] { OpenJsonFile(path, options); });
  }
};

TEST_F(JsonChunks, RowsAreThoseOfTheWholeFileWhateverTheBlock) {
  const std::vector<std::string> names = {"id", "score", "tags", "note"};
  for (const std::string eol : {"\n", "\r\n"}) {
    for (const bool last_eol : {true, false}) {
      const auto path = Write("rows.jsonl", Text(eol, last_eol));
      const auto reader = arrow::json::TableReader::Make(
          arrow::default_memory_pool(), arrow::io::ReadableFile::Open(path.string()).ValueOrDie(),
          arrow::json::ReadOptions::Defaults(), arrow::json::ParseOptions::Defaults());
      const Rows whole = test::RowsOf(*reader.ValueOrDie()->Read().ValueOrDie(), names);
      ASSERT_EQ(whole.at("id").size(), 50u);
      for (int64_t block = 1; block < 4000; block = block < 12 ? block + 1 : block * 3 / 2) {
        const auto file = OpenJsonFile(path, {block, 1 << 20})();
        ASSERT_EQ(ReadRows(*file, names), whole) << block;
      }
    }
  }
}

TEST_F(JsonChunks, KeysOfLaterBlocksAreColumnsToo) {
  const auto path =
      Write("rows.ndjson", "{\"a\": 1, \"b\": null}\n{\"a\": 2.5, \"b\": true, \"c\": {\"d\": 1}}\n");
  const auto schema = OpenJsonFile(path, {1, 1 << 20})()->FullSchema();
  EXPECT_EQ(schema->ToString(), "a: double\nb: bool\nc: struct<d: int64>");
}

TEST_F(JsonChunks, OnlyDenseColumnsAreReadWithoutNames) {
  const auto source = OpenFiles({Write("rows.json", "{\"a\": 1, \"b\": \"x\", \"c\": [1]}\n")}, {});
  ASSERT_EQ(source->columns().size(), 1u);
  EXPECT_THAT(ReadRows(*source).at("a"), ElementsAre(BytesOf<int64_t>(1)));
}

TEST_F(JsonChunks, AFileWithoutRowsIsRefused) {
  for (const char* text : {"", "\n\r\n"}) {
    const Error error = OpenError(text);
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("bad.jsonl"), HasSubstr("has no rows")));
  }
}

TEST_F(JsonChunks, ALineThatIsNoObjectIsNamed) {
  for (const char* line : {"[1]", "{\"a\": ", "7", "{\"a\": 1,}"}) {
    for (const int64_t block : {1, 1 << 20}) {
      const Error error =
          OpenError(fmt::format("{{\"a\": 1}}\n\n{}\n{{\"a\": 2}}\n", line), {block, 1 << 20});
      EXPECT_EQ(error.code(), Code::kCorrupt);
      EXPECT_THAT(error.what(), AllOf(HasSubstr("bad.jsonl, line 3 (byte 10)"), HasSubstr("leave it out")));
    }
  }
}

TEST_F(JsonChunks, AValueOfAnotherTypeIsNamedWhereverItLies) {
  for (const int64_t block : {1, 1 << 20}) {
    const Error error = OpenError("{\"a\": 1}\n{\"a\": 2}\n{\"a\": \"x\"}\n", {block, 1 << 20});
    EXPECT_EQ(error.code(), Code::kCorrupt);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("line 3 (byte 18)"), HasSubstr("from number to string"),
                                    HasSubstr(R"("{"a": "x"}")")))
        << block;
  }
}

TEST_F(JsonChunks, TextThatIsNotUtf8IsNamed) {
  const Error error = OpenError("{\"a\": \"x\"}\n{\"a\": \"\xff\"}\n");
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("line 2 (byte 11)"), HasSubstr("not UTF-8"), HasSubstr("\\xff")));
}

TEST_F(JsonChunks, AMissingKeyIsNamedByRow) {
  const auto file = OpenJsonFile(Write("null.jsonl", "{\"a\": 1}\n{\"b\": 2}\n"))();
  const Error error = Thrown([&] { ReadRows(*file, {"a"}); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("null.jsonl"), HasSubstr("column a is null in row 1")));
}

TEST_F(JsonChunks, AValueThatClashesWithTheIndexIsNamed) {
  const auto path = Write("rows.jsonl", "{\"a\": 1}\n{\"a\": 234}\n");
  const auto time = std::filesystem::last_write_time(path);
  const auto file = OpenJsonFile(path)();
  Write("rows.jsonl", "{\"a\": 1}\n{\"a\": \"2\"}\n");
  std::filesystem::last_write_time(path, time);
  const Error error = Thrown([&] { ReadRows(*file, {"a"}); });
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("line 2 (byte 9)"), HasSubstr("do not change a file")));
}

}  // namespace
}  // namespace strop::feed
