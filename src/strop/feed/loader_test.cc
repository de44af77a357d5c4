#include "strop/feed/loader.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_error.h"
#include "strop/feed/test_files.h"

namespace strop::feed {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Whether row `i` of a batch's column is what the row with this id holds.
bool RowIsRight(const std::string& name, const Tensor& tensor, size_t i, int64_t id) {
  if (name == "score") return tensor.As<float>()[i] == static_cast<float>(id) / 2;
  if (name == "flag") return tensor.As<bool>()[i] == (id % 3 == 0);
  if (name == "small") return tensor.As<int8_t>()[i] == id % 100;
  if (name == "wide") {
    const auto values = tensor.As<double>().subspan(2 * i, 2);
    return values[0] == static_cast<double>(id) && values[1] == static_cast<double>(-id);
  }
  if (name == "image") {
    const auto bytes = tensor.As<uint8_t>().subspan(i * test::kImageBytes, test::kImageBytes);
    for (size_t b = 0; b < bytes.size(); ++b) {
      if (bytes[b] != test::ImageByte(id, static_cast<int64_t>(b))) return false;
    }
  }
  return true;
}

// The ids of an epoch, batch by batch; every other column is checked against its id.
std::vector<std::vector<int64_t>> ReadEpoch(Loader& loader) {
  std::vector<std::vector<int64_t>> batches;
  while (auto batch = loader.Next()) {
    const auto ids = batch->tensors.at("id").As<int64_t>();
    EXPECT_EQ(static_cast<int64_t>(ids.size()), batch->rows);
    for (const auto& [name, tensor] : batch->tensors) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % 64, 0U) << name;
      EXPECT_EQ(tensor.shape()[0], batch->rows) << name;
      for (size_t i = 0; i < ids.size(); ++i)
        EXPECT_TRUE(RowIsRight(name, tensor, i, ids[i])) << name << " of row " << ids[i];
    }
    batches.emplace_back(ids.begin(), ids.end());
  }
  return batches;
}

std::vector<int64_t> Flat(const std::vector<std::vector<int64_t>>& batches) {
  std::vector<int64_t> all;
  for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

std::vector<int64_t> Sorted(std::vector<int64_t> values) {
  std::sort(values.begin(), values.end());
  return values;
}

std::vector<int64_t> UpTo(int64_t n) {
  std::vector<int64_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

class LoaderTest : public testing::Test {
 protected:
  // 3 files of 100, 57 and 1 rows in row groups of 16, in the three ways a file may be written.
  LoaderTest() {
    test::WriteParquetFile(folder_ / "a.parquet", *test::MakeTable(0, 100), 16);
    test::WriteParquetFile(folder_ / "b.parquet", *test::MakeTable(100, 57), 16, true, true);
    test::WriteArrowFile(folder_ / "c.parquet", *test::MakeTable(157, 1), 16);
    options_.sources = {{{(folder_ / "*.parquet").string()}}};
    options_.batch_size = 10;
    options_.seed = 5;
  }

  test::Folder folder_;
  LoaderOptions options_;
  static constexpr int64_t kRows = 158;
};

TEST_F(LoaderTest, ReadsEveryRowInOrder) {
  const auto loader = Loader::Open(options_);
  EXPECT_EQ(loader->rows(), kRows);
  EXPECT_EQ(loader->batches(), 16);
  EXPECT_THAT(loader->columns(), testing::ElementsAre("id", "image", "score", "wide", "flag", "small"));
  const auto batches = ReadEpoch(*loader);
  EXPECT_EQ(batches.size(), 16U);
  EXPECT_EQ(Flat(batches), UpTo(kRows));
  EXPECT_EQ(Flat(ReadEpoch(*loader)), UpTo(kRows)) << "the second epoch";
}

// Windows of 15 and 2 rows are open when the first batch of 10 is taken; the second wants a third window.
TEST_F(LoaderTest, AReaderThatWaitsIsWokenByABatchThatUsesUpNoWindow) {
  const std::filesystem::path folder = folder_ / "uneven";
  std::filesystem::create_directory(folder);
  test::WriteParquetFile(folder / "a.parquet", *test::MakeTable(0, 15), 16);
  test::WriteParquetFile(folder / "b.parquet", *test::MakeTable(15, 2), 16);
  test::WriteParquetFile(folder / "c.parquet", *test::MakeTable(17, 23), 16);
  options_.sources = {{{(folder / "*.parquet").string()}}};
  options_.window = 1;
  options_.workers = 1;
  options_.prefetch = 1;
  const auto loader = Loader::Open(options_);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // by then the reader waits
  ASSERT_TRUE(loader->Next());
  ASSERT_TRUE(loader->Ready(std::chrono::seconds(10)));
  EXPECT_EQ(ReadEpoch(*loader).size(), 3U);
}

TEST_F(LoaderTest, ShapesAndTypesFollowTheSchema) {
  const auto loader = Loader::Open(options_);
  const auto batch = loader->Next();
  ASSERT_TRUE(batch);
  EXPECT_EQ(ShapeText(batch->tensors.at("image").shape()), "[10,3,4]");
  EXPECT_EQ(batch->tensors.at("image").dtype(), DType::kU8);
  EXPECT_EQ(ShapeText(batch->tensors.at("wide").shape()), "[10,2]");
  EXPECT_EQ(batch->tensors.at("wide").dtype(), DType::kF64);
  EXPECT_EQ(ShapeText(batch->tensors.at("flag").shape()), "[10]");
}

TEST_F(LoaderTest, ProjectsColumns) {
  options_.columns = {"score", "id"};
  const auto loader = Loader::Open(options_);
  EXPECT_THAT(loader->columns(), testing::ElementsAre("score", "id"));
  EXPECT_EQ(Flat(ReadEpoch(*loader)), UpTo(kRows));
}

// Every option that decides the order, and every number of workers, over two epochs.
TEST_F(LoaderTest, WorkersAndPrefetchNeverChangeTheOrder) {
  for (const bool shuffle : {false, true}) {
    for (const int window : {1, 3, 100}) {
      for (const int64_t batch_size : {1, 7, 64, 500}) {
        options_.shuffle = shuffle;
        options_.window = window;
        options_.batch_size = batch_size;
        options_.workers = 1;
        options_.prefetch = 0;
        const auto reference = Loader::Open(options_);
        const auto first = ReadEpoch(*reference);
        const auto second = ReadEpoch(*reference);
        EXPECT_EQ(Sorted(Flat(first)), UpTo(kRows));
        EXPECT_EQ(Sorted(Flat(second)), UpTo(kRows));
        EXPECT_EQ(Flat(first) != Flat(second), shuffle);
        for (const int workers : {2, 5}) {
          options_.workers = workers;
          options_.prefetch = workers == 5 ? 20 : 1;
          const auto loader = Loader::Open(options_);
          EXPECT_EQ(ReadEpoch(*loader), first);
          EXPECT_EQ(ReadEpoch(*loader), second);
        }
      }
    }
  }
}

TEST_F(LoaderTest, RanksTakeEqualStepsAndTogetherEveryRow) {
  options_.shuffle = true;
  options_.window = 2;
  for (const int world_size : {2, 3, 7}) {
    for (const Uneven uneven : {Uneven::kRepeat, Uneven::kRagged, Uneven::kDrop}) {
      for (const bool drop_last : {false, true}) {
        std::vector<int64_t> all;
        std::set<size_t> steps;
        for (int rank = 0; rank < world_size; ++rank) {
          options_.world_size = world_size;
          options_.rank = rank;
          options_.uneven = uneven;
          options_.drop_last = drop_last;
          const auto loader = Loader::Open(options_);
          const auto batches = ReadEpoch(*loader);
          EXPECT_EQ(static_cast<int64_t>(batches.size()), loader->batches());
          steps.insert(batches.size());
          for (const auto& batch : batches) {
            if (drop_last) {
              EXPECT_EQ(static_cast<int64_t>(batch.size()), options_.batch_size);
            }
          }
          const auto rows = Flat(batches);
          all.insert(all.end(), rows.begin(), rows.end());
        }
        if (uneven != Uneven::kRagged) {
          EXPECT_EQ(steps.size(), 1U);
        }
        const std::set<int64_t> unique(all.begin(), all.end());
        if (!drop_last && uneven != Uneven::kDrop) {
          EXPECT_EQ(static_cast<int64_t>(unique.size()), kRows);
        }
        if (uneven != Uneven::kRepeat) {
          EXPECT_EQ(unique.size(), all.size());
        }
      }
    }
  }
}

TEST_F(LoaderTest, ResumeAtAnyBatchEqualsUninterrupted) {
  for (const bool drop_last : {false, true}) {
    options_.shuffle = true;
    options_.window = 3;
    options_.workers = 2;
    options_.drop_last = drop_last;
    const auto reference = Loader::Open(options_);
    const auto first = ReadEpoch(*reference);
    const auto second = ReadEpoch(*reference);
    for (int64_t stop = 0; stop <= reference->batches(); ++stop) {
      const auto interrupted = Loader::Open(options_);
      for (int64_t i = 0; i < stop; ++i) ASSERT_TRUE(interrupted->Next());
      const std::string saved = interrupted->state().ToJson();
      EXPECT_LT(saved.size(), 1024U);
      options_.workers = 1;  // resume may have other workers
      const auto resumed = Loader::Open(options_);
      resumed->Restore(LoaderState::FromJson(saved));
      EXPECT_EQ(ReadEpoch(*resumed), std::vector(first.begin() + stop, first.end()));
      EXPECT_EQ(ReadEpoch(*resumed), second);
      options_.workers = 2;
    }
  }
}

TEST_F(LoaderTest, SetEpochIsThePlaceAndTheOrder) {
  options_.shuffle = true;
  const auto loader = Loader::Open(options_);
  const auto zero = ReadEpoch(*loader);
  const auto one = ReadEpoch(*loader);
  ASSERT_TRUE(loader->Next());
  loader->SetEpoch(1);
  EXPECT_EQ(ReadEpoch(*loader), one);
  loader->SetEpoch(0);
  EXPECT_EQ(ReadEpoch(*loader), zero);
  EXPECT_EQ(loader->state().epoch, 1U);
}

TEST_F(LoaderTest, AStateOfAnotherLineIsRefused) {
  const LoaderState state = Loader::Open(options_)->state();
  options_.seed = 6;
  const auto loader = Loader::Open(options_);
  const Error error = Thrown([&] { loader->Restore(state); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.what(), HasSubstr("seed"));
  EXPECT_EQ(Thrown([] { LoaderState::FromJson("{}"); }).code(), Code::kInvalidArgument);
  LoaderState beyond = loader->state();
  beyond.now.batches = 1000;
  EXPECT_EQ(Thrown([&] { loader->Restore(beyond); }).code(), Code::kInvalidArgument);
}

TEST_F(LoaderTest, MemoryIsPooledAndABatchOutlivesItsLoader) {
  auto loader = Loader::Open(options_);
  std::set<void*> blocks;
  std::optional<Batch> kept;
  for (int epoch = 0; epoch < 20; ++epoch) {
    while (auto batch = loader->Next()) {
      blocks.insert(batch->tensors.at("image").data());
      kept = batch;
    }
  }
  EXPECT_LT(blocks.size(), 60U) << "320 batches went through";
  const std::vector<uint8_t> before(kept->tensors.at("image").As<uint8_t>().begin(),
                                    kept->tensors.at("image").As<uint8_t>().end());
  loader.reset();
  EXPECT_TRUE(std::equal(before.begin(), before.end(), kept->tensors.at("image").As<uint8_t>().begin()));
}

TEST_F(LoaderTest, AHeldBatchIsNotWrittenOver) {
  options_.columns = {"id"};
  const auto loader = Loader::Open(options_);
  std::vector<Batch> held;
  for (int epoch = 0; epoch < 3; ++epoch) {
    while (auto batch = loader->Next()) held.push_back(*batch);
  }
  std::vector<int64_t> ids;
  for (size_t i = 0; i < 16; ++i) {
    const auto part = held[i].tensors.at("id").As<int64_t>();
    ids.insert(ids.end(), part.begin(), part.end());
  }
  EXPECT_EQ(ids, UpTo(kRows));
}

int Threads() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

TEST_F(LoaderTest, ClosedEarlyItLeavesNoThread) {
  const int before = Threads();
  options_.workers = 4;
  {
    const auto loader = Loader::Open(options_);
    ASSERT_TRUE(loader->Next());
    EXPECT_GE(Threads(), before + 4);
  }
  EXPECT_EQ(Threads(), before);
}

TEST_F(LoaderTest, StatsCountWhatWasGiven) {
  const auto loader = Loader::Open(options_);
  EXPECT_EQ(loader->stats().verdict, "nothing was read yet");
  ReadEpoch(*loader);
  const LoaderStats stats = loader->stats();
  EXPECT_EQ(stats.rows, kRows);
  EXPECT_GT(stats.rows_per_second, 0);
  EXPECT_GT(stats.decode.p50, 0);
  EXPECT_LE(stats.decode.p50, stats.decode.p99);
  EXPECT_THAT(stats.verdict, HasSubstr(" bounds: "));
}

TEST_F(LoaderTest, WrongOptionsAndColumnsAreNamed) {
  const auto open = [&](auto change) {
    LoaderOptions options = options_;
    change(options);
    return Thrown([&] { Loader::Open(options); });
  };
  EXPECT_THAT(open([](auto& o) { o.columns = {"imgae"}; }).what(),
              HasSubstr("has no column \"imgae\"; its columns: id, image, score, wide, flag, small, note"));
  EXPECT_THAT(open([](auto& o) { o.columns = {"id", "id"}; }).what(), HasSubstr("twice"));
  EXPECT_THAT(open([](auto& o) { o.batch_size = 0; }).what(), StartsWith("batch_size is 0"));
  EXPECT_THAT(open([](auto& o) { o.rank = 2; }).what(), StartsWith("rank is 2"));
  EXPECT_EQ(open([&](auto& o) { o.sources = {{{(folder_ / "no.parquet").string()}}}; }).code(),
            Code::kNotFound);
}

TEST_F(LoaderTest, FilesThatDifferAreNamed) {
  const auto table =
      test::MakeTable(0, 4)->RenameColumns({"image2", "id2", "score", "wide", "flag", "small", "note"});
  test::WriteParquetFile(folder_ / "d.parquet", **table, 4);
  EXPECT_THAT(Thrown([&] { Loader::Open(options_); }).what(), HasSubstr("d.parquet has no column \"id\""));
}

TEST_F(LoaderTest, GlobalOrderMixesAllRowsWhateverTheWorkers) {
  test::WriteArrowFile(folder_ / "g.arrow", *test::MakeTable(0, 3000), 100);
  options_.sources = {{{(folder_ / "g.arrow").string()}}};
  options_.columns = {"id", "image", "score", "wide", "small"};
  options_.shuffle = true;
  options_.order = Order::kGlobal;
  options_.batch_size = 100;
  const auto loader = Loader::Open(options_);
  const auto batches = ReadEpoch(*loader);
  std::vector<int64_t> ids = Flat(batches);
  EXPECT_NE(ReadEpoch(*loader), batches) << "the next epoch";
  for (const auto& batch : batches) {
    std::set<int64_t> chunks;
    for (const int64_t id : batch) chunks.insert(id / 100);
    EXPECT_GT(chunks.size(), 20U) << "of 30; a batch of 100 draws from 29 on average";
  }
  options_.workers = 3;
  EXPECT_EQ(Flat(ReadEpoch(*Loader::Open(options_))), ids);
  EXPECT_EQ(loader->stats().shuffle_quality, 1);
  std::sort(ids.begin(), ids.end());
  std::vector<int64_t> all(3000);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(ids, all);
}

TEST_F(LoaderTest, GlobalOrderIsRefusedWhereRowsComeInChunks) {
  options_.shuffle = true;
  options_.order = Order::kGlobal;
  const Error error = Thrown([&] { Loader::Open(options_); });
  EXPECT_EQ(error.code(), Code::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("strop feed convert IN OUT.arrow"));
  options_.shuffle = false;
  EXPECT_EQ(Thrown([&] { Loader::Open(options_); }).code(), Code::kInvalidArgument);
}

TEST_F(LoaderTest, ANullIsNamedWithItsColumnAndRow) {
  test::WriteParquetFile(folder_ / "b.parquet", *test::MakeTable(100, 57, true), 16);
  const auto loader = Loader::Open(options_);
  const Error error = Thrown([&] { ReadEpoch(*loader); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("row group 3: column score is null in row 8 of the row group"));
}

class DamagedTest : public testing::Test {
 protected:
  DamagedTest() {
    test::WriteParquetFile(path_, *test::MakeTable(0, 320), 32, true);
    options_.sources = {{{path_.string()}}};
    options_.batch_size = 16;
    options_.shuffle = true;
    options_.window = 2;
  }

  // Overwrites the page data of row group 3 alone: bytes that only a checksum can tell.
  void Damage() {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::string wanted(test::kImageBytes, '\0');
    for (int i = 0; i < test::kImageBytes; ++i)
      wanted[static_cast<size_t>(i)] = static_cast<char>(test::ImageByte(100, i));
    const size_t at = bytes.find(wanted);
    ASSERT_NE(at, std::string::npos);
    file.clear();
    file.seekp(static_cast<std::streamoff>(at));
    file.write("damaged", 7);
  }

  test::Folder folder_;
  const std::filesystem::path path_ = folder_ / "rows.parquet";
  LoaderOptions options_;
};

TEST_F(DamagedTest, TheErrorSurfacesAtTheSameBatchForAnyWorkers) {
  Damage();
  std::set<size_t> given;
  for (const int workers : {1, 2, 4, 4, 4}) {
    options_.workers = workers;
    const auto loader = Loader::Open(options_);
    size_t batches = 0;
    const Error error = Thrown([&] {
      while (loader->Next()) ++batches;
    });
    given.insert(batches);
    EXPECT_EQ(error.code(), Code::kCorrupt);
    EXPECT_THAT(error.what(), HasSubstr("rows.parquet, row group 3"));
    EXPECT_THAT(Thrown([&] { loader->Next(); }).what(), HasSubstr("row group 3")) << "it stays an error";
  }
  EXPECT_EQ(given.size(), 1U);
}

TEST_F(DamagedTest, SkipReplacesTheRowGroupAndKeepsTheSteps) {
  Damage();
  options_.on_error = OnError::kSkip;
  std::vector<std::vector<int64_t>> first;
  for (const int workers : {1, 3}) {
    options_.workers = workers;
    const auto loader = Loader::Open(options_);
    const auto batches = ReadEpoch(*loader);
    EXPECT_EQ(batches.size(), 20U);
    EXPECT_GE(loader->stats().skipped_chunks, 1);
    if (workers == 1) first = batches;
    EXPECT_EQ(batches, first);
  }
  auto expected = UpTo(320);
  for (size_t i = 96; i < 128; ++i) expected[i] += 32;  // row group 4 stands in for 3
  EXPECT_EQ(Sorted(Flat(first)), Sorted(expected));
}

TEST_F(DamagedTest, AFileCutShortIsSaidAtOpening) {
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 20);
  const Error error = Thrown([&] { Loader::Open(options_); });
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr("rows.parquet is cut short"));
}

TEST_F(DamagedTest, AFileThatShrinksWhileReadIsAnErrorNotASignal) {
  const auto loader = Loader::Open(options_);
  std::filesystem::resize_file(path_, 100);
  const Error error = Thrown([&] {
    for (int epoch = 0; epoch < 3; ++epoch) ReadEpoch(*loader);
  });
  EXPECT_EQ(error.code(), Code::kCorrupt);
}

TEST_F(DamagedTest, WhenNothingCanBeReadSkipGivesTheFirstError) {
  const auto loader = [&] {
    options_.on_error = OnError::kSkip;
    auto opened = Loader::Open(options_);
    return opened;
  }();
  std::filesystem::resize_file(path_, 4);
  const Error error = Thrown([&] {
    for (int epoch = 0; epoch < 3; ++epoch) ReadEpoch(*loader);
  });
  EXPECT_THAT(error.what(), HasSubstr("rows.parquet was changed while it is read"));
}

}  // namespace
}  // namespace strop::feed
