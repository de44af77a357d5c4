#include "strop/data/split.h"

#include <cmath>
#include <set>
#include <string>

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/file.h"
#include "strop/data/table.h"
#include "strop/data/test_support.h"

namespace strop::data {
namespace {

using testing::HasSubstr;

class SplitTest : public FolderTest {
 protected:
  void Write(const std::string& name, int64_t first, int64_t rows, int64_t row_group_bytes = 1 << 20) {
    Tensor id = Tensor::New(DType::kI64, {rows});
    for (int64_t i = 0; i < rows; ++i) id.As<int64_t>()[static_cast<size_t>(i)] = first + i;
    std::shared_ptr<arrow::Field> field;
    const auto column = TensorToColumn(id, {"id", Role::kId}, &field);
    WriteParquet(*arrow::Table::Make(arrow::schema({field}), {column}), folder_ / name,
                 {.row_group_bytes = row_group_bytes});
  }
  static std::set<int64_t> Ids(const std::filesystem::path& file) {
    const Tensor column = ReadTensors(file.string(), {"id"}).at("id");
    const auto ids = column.As<int64_t>();
    return {ids.begin(), ids.end()};
  }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  const std::map<std::string, double> kShares{{"train", 0.7}, {"validation", 0.2}, {"calibration", 0.1}};
};

TEST_F(SplitTest, EveryRowIsInExactlyOneSplit) {
  Write("a.parquet", 0, 5000);
  const auto files = WriteSplits(Path("a.parquet"), kShares, 3, folder_ / "out");
  std::set<int64_t> all;
  size_t rows = 0;
  for (const auto& [name, file] : files) {
    const auto ids = Ids(file);
    // Four standard deviations of the binomial.
    EXPECT_NEAR(static_cast<double>(ids.size()), 5000 * kShares.at(name), 4 * std::sqrt(5000 * 0.25)) << name;
    rows += ids.size();
    all.insert(ids.begin(), ids.end());
  }
  EXPECT_EQ(rows, 5000u);
  EXPECT_EQ(all.size(), 5000u);
  EXPECT_THAT(ReadFile(folder_ / "out/splits.json"), HasSubstr("\"rows\""));
}

TEST_F(SplitTest, TheFilesLayoutDoesNotMatterAndTheSeedDoes) {
  Write("whole.parquet", 0, 1000);
  Write("part-0.parquet", 0, 300, 64);
  Write("part-1.parquet", 300, 700);
  const auto whole = WriteSplits(Path("whole.parquet"), kShares, 3, folder_ / "a");
  const auto parts = WriteSplits(Path("part-*.parquet"), kShares, 3, folder_ / "b");
  const auto other = WriteSplits(Path("whole.parquet"), kShares, 4, folder_ / "c");
  for (const auto& [name, file] : whole) EXPECT_EQ(Ids(file), Ids(parts.at(name)));
  EXPECT_NE(Ids(whole.at("train")), Ids(other.at("train")));
}

TEST_F(SplitTest, IsDoneOnceUntilSomethingChanges) {
  Write("a.parquet", 0, 1000);
  const auto files = WriteSplits(Path("a.parquet"), kShares, 3, folder_ / "out");
  const auto time = [&] { return std::filesystem::last_write_time(files.at("train")); };
  const auto first = time();
  WriteSplits(Path("a.parquet"), kShares, 3, folder_ / "out");
  EXPECT_EQ(time(), first);
  std::filesystem::remove(files.at("validation"));
  WriteSplits(Path("a.parquet"), kShares, 3, folder_ / "out");
  EXPECT_TRUE(std::filesystem::exists(files.at("validation")));
  Write("a.parquet", 5000, 1000);
  WriteSplits(Path("a.parquet"), kShares, 3, folder_ / "out");
  EXPECT_GE(*Ids(files.at("train")).begin(), 5000);
}

TEST_F(SplitTest, WrongSharesAreRefused) {
  Write("a.parquet", 0, 10);
  const auto code = [&](const std::map<std::string, double>& shares) {
    return Thrown([&] { WriteSplits(Path("a.parquet"), shares, 0, folder_ / "out"); }).code();
  };
  EXPECT_EQ(code({{"train", 0.5}, {"rest", 0.4}}), Code::kInvalidArgument);
  EXPECT_EQ(code({{"train", 1.1}, {"rest", -0.1}}), Code::kInvalidArgument);
  EXPECT_EQ(code({{"../train", 1.0}}), Code::kInvalidArgument);
  const Error error = Thrown([&] {
    WriteSplits(Path("a.parquet"), {{"train", 0.999999}, {"tiny", 0.000001}}, 0, folder_ / "out");
  });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("split tiny"));
}

}  // namespace
}  // namespace strop::data
