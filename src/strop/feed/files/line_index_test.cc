#include "strop/feed/files/line_index.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <arrow/type.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/file.h"
#include "strop/base/test_error.h"
#include "strop/feed/files/index_cache.h"
#include "strop/feed/files/line_chunks.h"
#include "strop/feed/files/test_sink.h"

namespace strop::feed {
namespace {

using test::ReadRows;

class LineIndexCache : public test::SourceTest {
 protected:
  std::filesystem::path WriteRows() const { return Write("rows.csv", "a,b\n1,x\n2,y\n3,z\n"); }
  static size_t RowsOf(const std::filesystem::path& path) {
    return ReadRows(*OpenCsvFile(path, {4, 1 << 20})(), {"a", "b"}).at("a").size();
  }
};

TEST_F(LineIndexCache, IsUsedWhileTheFileIsTheSame) {
  const auto path = WriteRows();
  EXPECT_EQ(RowsOf(path), 3u);
  const auto entry = IndexPath(path);
  ASSERT_TRUE(std::filesystem::exists(entry));
  EXPECT_EQ(entry.parent_path(), folder_.path() / "cache" / "strop" / "index");
  const auto written = std::filesystem::last_write_time(entry);
  EXPECT_EQ(RowsOf(path), 3u);
  EXPECT_EQ(std::filesystem::last_write_time(entry), written);
}

TEST_F(LineIndexCache, NothingIsWrittenNextToTheFile) {
  const auto path = WriteRows();
  RowsOf(path);
  const std::filesystem::directory_iterator files(path.parent_path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(LineIndexCache, IsMadeAgainWhenTheFileIsAnother) {
  const auto path = WriteRows();
  RowsOf(path);
  Write("rows.csv", "a,b\n1,x\n2,y\n3,z\n4,w\n");
  EXPECT_EQ(RowsOf(path), 4u);
}

TEST_F(LineIndexCache, IsMadeAgainForOtherBlocks) {
  const auto path = WriteRows();
  EXPECT_EQ(OpenCsvFile(path, {4, 1 << 20})()->ChunkRows().size(), 3u);
  EXPECT_EQ(OpenCsvFile(path)()->ChunkRows().size(), 1u);
}

TEST_F(LineIndexCache, IsMadeAgainWhenAnyByteIsDamaged) {
  const auto path = WriteRows();
  RowsOf(path);
  const auto entry = IndexPath(path);
  const std::string whole = ReadFile(entry);
  for (size_t at = 0; at < whole.size(); at += 19) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    WriteFileAtomically(entry, bytes);
    ASSERT_EQ(RowsOf(path), 3u) << at;
    ASSERT_EQ(ReadFile(entry), whole) << at;
    WriteFileAtomically(entry, std::string_view(whole).substr(0, at));
    ASSERT_EQ(RowsOf(path), 3u) << at;
  }
}

TEST_F(LineIndexCache, AFolderThatCannotBeWrittenIsNoError) {
  const auto path = WriteRows();
  const auto file = Write("not_a_folder", "x");
  setenv("XDG_CACHE_HOME", file.c_str(), 1);
  EXPECT_EQ(RowsOf(path), 3u);
}

TEST_F(LineIndexCache, WithoutXdgCacheHomeIsBelowHome) {
  const char* const home = std::getenv("HOME");
  const std::string before = home ? home : "";
  setenv("HOME", folder_.path().c_str(), 1);
  for (const char* value : {"", "relative"}) {
    setenv("XDG_CACHE_HOME", value, 1);
    EXPECT_EQ(IndexPath("x").parent_path(), folder_.path() / ".cache" / "strop" / "index") << value;
  }
  if (home) setenv("HOME", before.c_str(), 1);
}

TEST_F(LineIndexCache, ChunksFollowOneAnotherAndCountLines) {
  const auto path = Write("rows.csv", "a,b\n1,\"x\ny\"\n\n2,y\n3,z\n");
  const auto open = OpenCsvFile(path, {1, 1 << 20});
  EXPECT_EQ(open()->ChunkRows(), (std::vector<int64_t>{1, 1, 1}));
}

TEST(IndexReader, RefusesCountsThatTheBytesCannotHold) {
  IndexWriter writer;
  writer.Put(int64_t{1} << 40);
  IndexReader reader(writer.bytes());
  EXPECT_EQ(Thrown([&] { reader.Count(8); }).code(), Code::kCorrupt);
  EXPECT_EQ(Thrown([&] { reader.Number(); }).code(), Code::kCorrupt);
}

TEST(CommonType, IsTheNarrowestThatBothFit) {
  const auto seconds = arrow::timestamp(arrow::TimeUnit::SECOND),
             nanos = arrow::timestamp(arrow::TimeUnit::NANO);
  const struct {
    std::shared_ptr<arrow::DataType> a, b, csv, json;
  } cases[] = {
      {arrow::null(), arrow::int64(), arrow::int64(), arrow::int64()},
      {arrow::int64(), arrow::float64(), arrow::float64(), arrow::float64()},
      {arrow::int64(), arrow::utf8(), arrow::utf8(), nullptr},
      {arrow::boolean(), arrow::int64(), arrow::utf8(), nullptr},
      {arrow::date32(), seconds, seconds, seconds},
      {seconds, nanos, nanos, nanos},
      {seconds, arrow::utf8(), arrow::utf8(), arrow::utf8()},
      {arrow::list(arrow::int64()), arrow::list(arrow::float64()), arrow::list(arrow::float64()),
       arrow::list(arrow::float64())},
      {arrow::list(arrow::null()), arrow::list(arrow::int64()), arrow::list(arrow::int64()),
       arrow::list(arrow::int64())},
      {arrow::struct_({arrow::field("a", arrow::int64())}),
       arrow::struct_({arrow::field("b", arrow::utf8())}),
       arrow::struct_({arrow::field("a", arrow::int64()), arrow::field("b", arrow::utf8())}),
       arrow::struct_({arrow::field("a", arrow::int64()), arrow::field("b", arrow::utf8())})},
  };
  for (const auto& [a, b, csv, json] : cases) {
    for (const bool turned : {false, true}) {
      if (turned && a->id() == arrow::Type::STRUCT) continue;
      const auto& x = turned ? b : a;
      const auto& y = turned ? a : b;
      const auto text = CommonType(x, y, true);
      ASSERT_TRUE(text);
      EXPECT_TRUE(text->Equals(*csv)) << x->ToString() << " " << y->ToString() << " " << text->ToString();
      const auto strict = CommonType(x, y, false);
      ASSERT_EQ(strict == nullptr, json == nullptr) << x->ToString() << " " << y->ToString();
      if (json) {
        EXPECT_TRUE(strict->Equals(*json)) << strict->ToString();
      }
    }
  }
}

}  // namespace
}  // namespace strop::feed
