#include "strop/feed/files/ipc_chunks.h"

#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include <arrow/filesystem/localfs.h>
#include <arrow/ipc/options.h>
#include <arrow/util/compression.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/file.h"
#include "strop/base/test_error.h"
#include "strop/feed/files/test_sink.h"
#include "strop/feed/kept_chunk.h"
#include "strop/feed/test_files.h"

namespace strop::feed {
namespace {

using testing::HasSubstr;

const std::vector<std::string> kPlain = {"id", "image", "score", "wide",
                                         "small"};  // flag has bits, not bytes

class IpcChunksTest : public test::SourceTest {
 protected:
  std::filesystem::path Path() const { return folder_.path() / "a.arrow"; }

  void WriteCompressed(const arrow::Table& table, int64_t batch_rows) const {
    auto options = arrow::ipc::IpcWriteOptions::Defaults();
    options.codec = arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME).ValueOrDie();
    auto file = arrow::io::FileOutputStream::Open(Path().string()).ValueOrDie();
    auto writer = arrow::ipc::MakeFileWriter(file, table.schema(), options).ValueOrDie();
    data::Check(writer->WriteTable(table, batch_rows), "writing");
    data::Check(writer->Close(), "writing");
    data::Check(file->Close(), "writing");
  }
};

TEST_F(IpcChunksTest, EverySliceGivesTheSameRowsAsTheTable) {
  const auto table = test::MakeTable(0, 500);
  const auto names = std::vector<std::string>{"note", "id", "flag", "image", "score", "wide", "small"};
  const test::Rows want = test::RowsOf(*table, names);
  for (const bool compressed : {false, true}) {
    compressed ? WriteCompressed(*table, 170) : test::WriteArrowFile(Path(), *table, 170);
    const auto source = OpenFiles({Path()}, names);
    EXPECT_EQ(source->chunk_rows(), (std::vector<int64_t>{170, 170, 160}));
    for (const int64_t slice : {0, 1, 16, 100, 1 << 20})
      EXPECT_EQ(test::ReadRows(*source, slice), want) << slice;
  }
}

TEST_F(IpcChunksTest, AnotherFileSystemGivesTheSameRows) {
  const auto table = test::MakeTable(0, 50);
  test::WriteArrowFile(Path(), *table, 17);
  const auto source = OpenFiles({Path()}, kPlain, std::make_shared<arrow::fs::LocalFileSystem>());
  EXPECT_EQ(source->chunk_rows(), (std::vector<int64_t>{17, 17, 16}));
  EXPECT_EQ(test::ReadRows(*source), test::RowsOf(*table, kPlain));
  EXPECT_THAT(source->WhyChunksOnly(), HasSubstr("not local"));
}

TEST_F(IpcChunksTest, RowsAreReadOneByOne) {
  const auto table = test::MakeTable(0, 50);
  test::WriteArrowFile(Path(), *table, 20);
  const auto source = OpenFiles({Path()}, kPlain);
  ASSERT_EQ(source->WhyChunksOnly(), "");
  const test::Rows want = test::RowsOf(*table, kPlain);
  const std::vector<int64_t> rows = {0, 1, 7, 9};
  test::CollectSink sink(source->columns(), 4);
  source->NewReader()->ReadRows(2, rows, sink);
  test::Rows got;
  sink.AppendTo(got);
  for (const std::string& name : kPlain) {
    for (size_t i = 0; i < rows.size(); ++i)
      EXPECT_EQ(got.at(name).at(i), want.at(name).at(static_cast<size_t>(40 + rows[i]))) << name;
  }
}

TEST_F(IpcChunksTest, TheColumnThatComesInChunksOnlyIsNamed) {
  test::WriteArrowFile(Path(), *test::MakeTable(0, 50), 20);
  EXPECT_THAT(OpenFiles({Path()}, {"id", "flag"})->WhyChunksOnly(),
              HasSubstr("column flag of " + Path().string()));
  EXPECT_THAT(OpenFiles({Path()}, {"note", "id"})->WhyChunksOnly(), HasSubstr("column note"));
  WriteCompressed(*test::MakeTable(0, 50), 20);
  EXPECT_THAT(OpenFiles({Path()}, {"id"})->WhyChunksOnly(), HasSubstr("column id"));
}

TEST_F(IpcChunksTest, AFileThatIsCutShortWhileItIsReadIsAnError) {
  test::WriteArrowFile(Path(), *test::MakeTable(0, 20000), 10000);
  const auto source = OpenFiles({Path()}, kPlain);
  const auto reader = source->NewReader();
  std::filesystem::resize_file(Path(), 8192);
  test::CollectSink sink(source->columns(), 10000);
  for (const Error& error : {Thrown([&] { reader->Read(1, sink); }),
                             Thrown([&] { reader->ReadRows(1, std::vector<int64_t>{9000}, sink); })}) {
    EXPECT_EQ(error.code(), Code::kCorrupt);
    EXPECT_THAT(error.what(), HasSubstr(Path().string() + " was changed while it is read"));
    EXPECT_THAT(error.what(), HasSubstr("8192 now"));
  }
}

TEST_F(IpcChunksTest, AFileThatIsWrittenOverIsNoDataInEitherOrder) {
  test::WriteArrowFile(Path(), *test::MakeTable(0, 50), 20);
  const auto source = OpenFiles({Path()}, kPlain);
  const auto reader = source->NewReader();
  const auto time = std::filesystem::last_write_time(Path());
  test::WriteArrowFile(Path(), *test::MakeTable(100, 50), 20);
  std::filesystem::last_write_time(Path(), time + std::chrono::seconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(110));  // rows are looked at so often
  test::CollectSink sink(source->columns(), 20);
  for (const Error& error : {Thrown([&] { reader->ReadRows(1, std::vector<int64_t>{3}, sink); }),
                             Thrown([&] { reader->Read(1, sink); })}) {
    EXPECT_EQ(error.code(), Code::kCorrupt);
    EXPECT_THAT(error.what(), HasSubstr("was changed while it is read"));
  }
}

TEST_F(IpcChunksTest, AnErrorOfARowNamesTheRecordBatch) {
  test::WriteArrowFile(Path(), *test::MakeTable(0, 50, true), 20);
  const auto source = OpenFiles({Path()}, {"score"});
  test::CollectSink sink(source->columns(), 10);
  const Error error = Thrown([&] { source->NewReader()->Read(2, sink); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr(Path().string() + ", record batch 2: column score is null in row 9"));
}

// Whatever of a file is not as it was: an error that names it, or rows as many as the file says.
TEST_F(IpcChunksTest, DamageIsAnErrorNotACrash) {
  const auto names = std::vector<std::string>{"id", "image", "flag", "score", "wide", "note", "list"};
  const auto whole = test::MakeTable(0, 60);
  arrow::ListBuilder lists(arrow::default_memory_pool(), std::make_shared<arrow::Int32Builder>());
  auto& values = static_cast<arrow::Int32Builder&>(*lists.value_builder());
  for (int i = 0; i < 60; ++i) {
    data::Check(lists.Append(), "building");
    for (int j = 0; j < i % 7; ++j) data::Check(values.Append(j), "building");
  }
  const auto column = std::make_shared<arrow::ChunkedArray>(lists.Finish().ValueOrDie());
  const auto table = whole->AddColumn(7, arrow::field("list", column->type()), column).ValueOrDie();
  // Another one by --gtest_shuffle --gtest_random_seed=N.
  std::mt19937 random(5 + static_cast<uint32_t>(testing::UnitTest::GetInstance()->random_seed()));
  for (const bool compressed : {false, true}) {
    compressed ? WriteCompressed(*table, 20) : test::WriteArrowFile(Path(), *table, 20);
    const std::string sound = ReadFile(Path());
    for (int mutation = 0; mutation < 400; ++mutation) {
      std::string bytes = sound;
      for (uint32_t flips = 1 + random() % 4; flips > 0; --flips)
        bytes[8 + random() % (bytes.size() - 16)] = static_cast<char>(mutation % 3 == 0 ? 0xff : random());
      std::ofstream(Path(), std::ios::binary | std::ios::trunc) << bytes;
      try {
        const auto source = OpenFiles({Path()}, names);
        const auto reader = source->NewReader();
        for (size_t chunk = 0; chunk < source->chunk_rows().size(); ++chunk) {
          KeptChunk rows(source->columns(), source->chunk_rows()[chunk]);
          reader->Read(static_cast<int64_t>(chunk), rows);
        }
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr(Path().string())) << mutation;
      }
    }
  }
}

}  // namespace
}  // namespace strop::feed
