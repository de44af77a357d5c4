#include <filesystem>
#include <string>
#include <vector>

#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/test_error.h"
#include "strop/feed/files/sample_chunks.h"
#include "strop/feed/files/test_sink.h"
#include "strop/feed/test_files.h"

namespace strop::feed {
namespace {

using test::BytesOf;
using test::ReadRows;
using test::Rows;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ImageFolder : public test::SourceTest {
 protected:
  std::filesystem::path WriteClasses() const {
    Write("dog/2.jpg", "dog2");
    Write("dog/10.JPEG", "dog10");
    Write("cat/deep/1.png", "cat1");
    Write("cat/a.jpg", "");
    Write("cat/notes.txt", "no image");
    Write("cat/.thumb.jpg", "hidden");
    Write(".git/x.jpg", "hidden");
    return folder_.path() / "data";
  }
};

TEST_F(ImageFolder, SubFoldersAreClasses) {
  const auto source = OpenSource(WriteClasses().string(), {});
  EXPECT_EQ(source->columns()[0].role, data::Role::kInput);
  EXPECT_EQ(source->columns()[1].role, data::Role::kLabel);
  EXPECT_EQ(source->columns()[2].role, data::Role::kId);
  const Rows rows = ReadRows(*source);
  EXPECT_THAT(rows.at("path"), ElementsAre("cat/a.jpg", "cat/deep/1.png", "dog/10.JPEG", "dog/2.jpg"));
  EXPECT_THAT(rows.at("image"), ElementsAre("", "cat1", "dog10", "dog2"));
  const auto cat = BytesOf<int64_t>(0), dog = BytesOf<int64_t>(1);
  EXPECT_THAT(rows.at("label"), ElementsAre(cat, cat, dog, dog));
}

TEST_F(ImageFolder, WithoutSubFoldersThereIsNoLabel) {
  Write("b.png", "b");
  Write("a.jpg", "a");
  const auto source = OpenSource((folder_.path() / "data/").string(), {});
  ASSERT_EQ(source->columns().size(), 2u);
  const Rows rows = ReadRows(*source);
  EXPECT_THAT(rows.at("path"), ElementsAre("a.jpg", "b.png"));
  EXPECT_THAT(rows.at("image"), ElementsAre("a", "b"));
}

TEST_F(ImageFolder, ATableHasTheColumnsAsked) {
  const auto source = OpenSource(WriteClasses().string(), {"label", "image"});
  const auto table = source->NewReader()->ReadTable(0);
  EXPECT_TRUE(table->schema()->Equals(*source->schema()));
  EXPECT_EQ(test::RowsOf(*table, {"label", "image"}), ReadRows(*source));
}

TEST_F(ImageFolder, FilesAreCutIntoChunks) {
  for (int i = 0; i < 30; ++i) Write(fmt::format("x/{:02}.png", i), std::string(static_cast<size_t>(i), 'p'));
  const auto root = folder_.path() / "data";
  const Rows whole = ReadRows(*OpenImageFolder(root)(), {"image", "label", "path"});
  for (const SampleOptions options : {SampleOptions{1, 256}, {40, 256}, {1 << 20, 4}}) {
    EXPECT_EQ(ReadRows(*OpenImageFolder(root, options)(), {"image", "label", "path"}), whole);
  }
  EXPECT_EQ(OpenImageFolder(root, {1 << 20, 12})()->ChunkRows(), (std::vector<int64_t>{12, 12, 6}));
}

TEST_F(ImageFolder, AFileThatVanishesIsNamed) {
  const auto root = WriteClasses();
  const auto source = OpenSource(root.string(), {});
  std::filesystem::remove(root / "dog/10.JPEG");
  const Error error = Thrown([&] { ReadRows(*source); });
  EXPECT_EQ(error.code(), Code::kIo);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("dog/10.JPEG"), HasSubstr("is gone")));
}

TEST_F(ImageFolder, AnImageBesideClassesIsRefused) {
  const auto root = WriteClasses();
  Write("loose.jpg", "x");
  const Error error = Thrown([&] { OpenSource(root.string(), {}); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("loose.jpg lies beside sub-folders"));
}

TEST_F(ImageFolder, AFolderWithoutImagesIsRefused) {
  Write("rows.csv", "a\n1\n");
  const Error error = Thrown([&] { OpenSource((folder_.path() / "data").string(), {}); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("without images"), HasSubstr(".jpg, .jpeg or .png")));
}

class SourceKinds : public test::SourceTest {};

TEST_F(SourceKinds, AMixIsRefusedWithBothFiles) {
  Write("a.csv", "a\n1\n");
  Write("b.jsonl", "{\"a\": 1}\n");
  const Error error = Thrown([&] { OpenSource((folder_.path() / "data/*").string(), {}); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("a.csv is CSV"), HasSubstr("b.jsonl is JSON lines")));
}

TEST_F(SourceKinds, AnUnknownFileIsRefusedWithWhatIsAccepted) {
  const Error error = Thrown([&] { OpenFiles({Write("rows.dat", "something else altogether")}, {}); });
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("rows.dat"), HasSubstr("neither Parquet nor Arrow IPC"),
                                  HasSubstr(".jsonl"), HasSubstr(".tar"), HasSubstr("folders of images")));
}

TEST_F(SourceKinds, ParquetAndArrowAreKnownByTheirBytes) {
  const auto table = test::MakeTable(0, 10);
  const auto parquet = Write("rows.one", ""), arrow_file = Write("rows.two", "");
  test::WriteParquetFile(parquet, *table, 4);
  test::WriteArrowFile(arrow_file, *table, 4);
  const auto source = OpenFiles({parquet, arrow_file}, {"note", "id"});
  EXPECT_EQ(source->chunk_rows(), (std::vector<int64_t>{4, 4, 2, 4, 4, 2}));
  EXPECT_TRUE(source->columns()[0].ragged());
  Rows expected = test::RowsOf(*table, {"note", "id"});
  for (auto& [name, rows] : expected) {
    const auto once = rows;
    rows.insert(rows.end(), once.begin(), once.end());
  }
  EXPECT_EQ(ReadRows(*source), expected);
}

}  // namespace
}  // namespace strop::feed
