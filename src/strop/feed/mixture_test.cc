// Mixtures, ragged columns and transforms through the loader.

#include "strop/feed/mixture.h"

#include <algorithm>
#include <cstring>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/test_error.h"
#include "strop/feed/test_files.h"

namespace strop::feed {
namespace {

using testing::HasSubstr;

class MixtureTest : public testing::Test {
 protected:
  MixtureTest() {
    test::WriteParquetFile(a_, *test::MakeTable(0, 100), 10);
    test::WriteParquetFile(b_, *test::MakeTable(1000, 300), 10);
    options_.batch_size = 40;
    options_.seed = 5;
  }

  // 100 rows of id and cube, uint8 [1, 1, 2], which holds 0 and 1.
  std::string WriteCubes() {
    arrow::Int64Builder id;
    arrow::FixedSizeBinaryBuilder cube(arrow::fixed_size_binary(2));
    for (int64_t row = 0; row < 100; ++row) {
      data::Check(id.Append(row), "building a table");
      data::Check(cube.Append("\0\1"), "building a table");
    }
    const auto shape = arrow::key_value_metadata({"strop.dtype", "strop.shape"}, {"uint8", "1,1,2"});
    const auto schema = arrow::schema({arrow::field("id", arrow::int64()),
                                       arrow::field("cube", arrow::fixed_size_binary(2), false, shape)});
    const auto path = folder_ / "cubes.parquet";
    test::WriteParquetFile(
        path, *arrow::Table::Make(schema, {id.Finish().ValueOrDie(), cube.Finish().ValueOrDie()}), 10);
    return path.string();
  }

  uint64_t epoch_ = 0;
  test::Folder folder_;
  const std::string a_ = (folder_ / "a.parquet").string(), b_ = (folder_ / "b.parquet").string();
  LoaderOptions options_;
};

TEST_F(MixtureTest, EachBatchHoldsTheSourcesByWeight) {
  options_.sources = {{{a_}, 1}, {{b_}, 1}};
  for (const bool shuffle : {false, true}) {
    options_.shuffle = shuffle;
    const auto loader = Loader::Open(options_);
    EXPECT_EQ(loader->batches(), 10);
    int64_t of_a = 0;
    while (const auto batch = loader->Next()) {
      const auto ids = batch->tensors.at("id").As<int64_t>();
      const auto count = std::count_if(ids.begin(), ids.end(), [](int64_t id) { return id < 1000; });
      if (!shuffle) {
        EXPECT_NEAR(static_cast<double>(count), 20, 1);
      }
      of_a += count;
    }
    EXPECT_EQ(of_a, 200);
  }
}

TEST_F(MixtureTest, EachSourceHasItsOwnTransforms) {
  options_.sources = {{{a_}, 0, R"([{"column": "score", "name": "normalise", "mean": 1, "std": 2}])"},
                      {{b_}, 0, R"([{"column": "score", "name": "normalise", "mean": 0, "std": 1}])"}};
  const auto loader = Loader::Open(options_);
  int64_t rows = 0;
  while (const auto batch = loader->Next()) {
    const auto ids = batch->tensors.at("id").As<int64_t>();
    const auto scores = batch->tensors.at("score").As<float>();
    for (size_t i = 0; i < ids.size(); ++i, ++rows) {
      const float score = static_cast<float>(ids[i]) / 2;
      EXPECT_FLOAT_EQ(scores[i], ids[i] < 1000 ? (score - 1) / 2 : score);
    }
  }
  EXPECT_EQ(rows, 400);
}

TEST_F(MixtureTest, SourcesThatDoNotFitAreNamed) {
  const auto open = [&] { Loader::Open(options_); };
  options_.sources = {{{a_}, 1}, {{b_}, 0}};
  EXPECT_THAT(Thrown(open).what(), HasSubstr("b.parquet is 0"));
  options_.sources = {{{a_}, 1}, {{b_}, -2}};
  EXPECT_THAT(Thrown(open).what(), HasSubstr("b.parquet is -2"));
  options_.sources = {{{a_}, 0, R"([{"column": "score", "name": "cast", "dtype": "float64"}])"}, {{b_}}};
  EXPECT_THAT(Thrown(open).what(), HasSubstr("b.parquet has score float32[] where"));
  options_.sources = {};
  EXPECT_THAT(Thrown(open).what(), HasSubstr("no source"));
  options_.sources = {{{a_}, 0, R"([{"column": "nothing", "name": "cast", "dtype": "float64"}])"}};
  EXPECT_THAT(Thrown(open).what(), HasSubstr("\"nothing\", which is not read"));
}

TEST_F(MixtureTest, ARaggedColumnIsPaddedToTheLongestRowOfItsBatch) {
  options_.sources = {{{a_, b_}}};
  options_.columns = {"note", "id"};
  options_.shuffle = true;
  options_.workers = 3;
  options_.batch_size = 7;
  const auto loader = Loader::Open(options_);
  EXPECT_THAT(loader->columns(), testing::ElementsAre("note", "note_length", "id"));
  int64_t rows = 0;
  while (const auto batch = loader->Next()) {
    const auto ids = batch->tensors.at("id").As<int64_t>();
    const auto lengths = batch->tensors.at("note_length").As<int32_t>();
    const Tensor& notes = batch->tensors.at("note");
    const auto width = static_cast<size_t>(notes.shape()[1]);
    EXPECT_EQ(width, static_cast<size_t>(*std::max_element(lengths.begin(), lengths.end())));
    for (size_t i = 0; i < ids.size(); ++i, ++rows) {
      std::string note = "row " + std::to_string(ids[i]);
      EXPECT_EQ(lengths[i], static_cast<int32_t>(note.size()));
      note.resize(width, '\0');
      EXPECT_EQ(std::memcmp(notes.As<uint8_t>().data() + i * width, note.data(), width), 0);
    }
  }
  EXPECT_EQ(rows, 400);
}

TEST_F(MixtureTest, ARaggedColumnIsMadeDenseByPad) {
  options_.sources = {{{a_}, 0, R"([{"column": "note", "name": "pad", "length": 6, "value": 32}])"}};
  options_.columns = {"note"};
  const auto batch = Loader::Open(options_)->Next();
  ASSERT_TRUE(batch);
  EXPECT_EQ(ShapeText(batch->tensors.at("note").shape()), "[40,6]");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(batch->tensors.at("note").As<uint8_t>().data()), 12),
            "row 0 row 1 ");
}

// What is drawn for a row depends on seed, epoch and its place in the line: not on workers, ranks or a
// resume.
TEST_F(MixtureTest, RandomTransformsRepeatWhateverTheWorkersAndRanks) {
  options_.sources = {{{WriteCubes()}}};
  options_.sources[0].transforms = R"([{"column": "cube", "name": "flip", "axis": "horizontal"}])";
  options_.columns = {"id", "cube"};
  options_.shuffle = true;
  const auto flips = [&] {
    std::map<int64_t, bool> flipped;
    for (options_.rank = 0; options_.rank < options_.world_size; ++options_.rank) {
      const auto loader = Loader::Open(options_);
      loader->SetEpoch(epoch_);
      while (const auto batch = loader->Next()) {
        const auto ids = batch->tensors.at("id").As<int64_t>();
        const auto cubes = batch->tensors.at("cube").As<uint8_t>();
        for (size_t i = 0; i < ids.size(); ++i) flipped[ids[i]] = cubes[2 * i] == 1;
      }
    }
    return flipped;
  };
  const auto reference = flips();
  const auto count =
      std::count_if(reference.begin(), reference.end(), [](const auto& f) { return f.second; });
  EXPECT_NEAR(static_cast<double>(count), 50, 20);
  options_.workers = 3;
  EXPECT_EQ(flips(), reference);
  options_.world_size = 3;
  options_.uneven = Uneven::kRagged;
  EXPECT_EQ(flips(), reference);
  epoch_ = 1;
  EXPECT_NE(flips(), reference);
}

}  // namespace
}  // namespace strop::feed
