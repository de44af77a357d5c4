#include <memory>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/json/from_string.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/test_error.h"
#include "strop/feed/files/test_sink.h"
#include "strop/feed/source.h"
#include "strop/feed/test_files.h"

namespace strop::feed {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::shared_ptr<arrow::Array> Lists(const std::shared_ptr<arrow::DataType>& type, const std::string& json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

// The rows of a column of these chunks, each sliced by one row, so that no offset is zero.
std::vector<std::string> RowsOf(const arrow::ArrayVector& arrays) {
  arrow::ArrayVector sliced;
  for (const auto& array : arrays) sliced.push_back(array->Slice(1));
  const auto schema = arrow::schema({arrow::field("x", arrays[0]->type())});
  const auto table = arrow::Table::Make(schema, {std::make_shared<arrow::ChunkedArray>(sliced)});
  return test::RowsOf(*table, {"x"}).at("x");
}

TEST(PutTable, TextAndBinaryAreTheirBytes) {
  for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::binary(), arrow::large_binary()}) {
    const auto array = Lists(type, R"(["gone", "one", "", "three"])");
    EXPECT_THAT(RowsOf({array, array}), ElementsAre("one", "", "three", "one", "", "three"))
        << type->ToString();
  }
}

TEST(PutTable, ListsAreTheirElements) {
  for (const auto& type : {arrow::list(arrow::float32()), arrow::large_list(arrow::float32())}) {
    const auto array = Lists(type, "[[9, 9], [1], [], [2, 3]]");
    EXPECT_THAT(RowsOf({array, array}),
                ElementsAre(Floats({1}), "", Floats({2, 3}), Floats({1}), "", Floats({2, 3})));
  }
  const auto pairs =
      Lists(arrow::list(arrow::fixed_size_list(arrow::float32(), 2)), "[[], [[1, 2], [3, 4]], [[5, 6]]]");
  EXPECT_THAT(RowsOf({pairs}), ElementsAre(Floats({1, 2, 3, 4}), Floats({5, 6})));
}

TEST(PutTable, BoolsInListsAreUnpacked) {
  const auto bools = Lists(arrow::list(arrow::boolean()), "[[true], [true, false, true], [false]]");
  EXPECT_THAT(RowsOf({bools}), ElementsAre(std::string("\1\0\1", 3), std::string("\0", 1)));
}

TEST(PutTable, ANullIsNamedByColumnAndRow) {
  const auto texts = Lists(arrow::utf8(), R"(["gone", "a", null])");
  const Error null = Thrown([&] { RowsOf({Lists(arrow::utf8(), R"(["gone", "a"])"), texts}); });
  EXPECT_EQ(null.code(), Code::kInvalidArgument);
  EXPECT_THAT(null.what(), HasSubstr("column x is null in row 2"));
  const Error list = Thrown([&] { RowsOf({Lists(arrow::list(arrow::int32()), "[[], [1], null]")}); });
  EXPECT_THAT(list.what(), HasSubstr("column x is null in row 1"));
  const Error inner = Thrown([&] { RowsOf({Lists(arrow::list(arrow::int32()), "[[], [1], [2, null]]")}); });
  EXPECT_EQ(inner.code(), Code::kInvalidArgument);
  EXPECT_THAT(inner.what(), HasSubstr("column x holds a null in row 1"));
}

TEST(PutTable, RaggedColumnsAreReadOnlyByName) {
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("note", arrow::utf8())});
  EXPECT_EQ(ProjectColumns(*schema, {}, "rows").size(), 1u);
  const auto named = ProjectColumns(*schema, {"note", "id"}, "rows");
  EXPECT_TRUE(named[0].ragged());
  EXPECT_FALSE(named[1].ragged());
}

// Dense and ragged columns of Parquet come by two ways and keep their places.
TEST(PutTable, ParquetGivesListsAndTextBesideNumbers) {
  test::Folder folder;
  const auto lists = Lists(arrow::list(arrow::float32()), "[[1], [], [2, 3]]");
  const auto notes = Lists(arrow::utf8(), R"(["a", "", "ccc"])");
  const auto ids = Lists(arrow::int64(), "[5, 6, 7]");
  const auto table = arrow::Table::Make(
      arrow::schema({arrow::field("list", lists->type()), arrow::field("note", notes->type()),
                     arrow::field("id", ids->type())}),
      arrow::ArrayVector{lists, notes, ids});
  test::WriteParquetFile(folder / "rows.parquet", *table, 2);
  const auto source = OpenFiles({folder / "rows.parquet"}, {"id", "list", "note"});
  EXPECT_EQ(test::ReadRows(*source), test::RowsOf(*table, {"id", "list", "note"}));
}

}  // namespace
}  // namespace strop::feed
