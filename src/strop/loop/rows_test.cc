#include "strop/loop/rows.h"

#include <filesystem>
#include <set>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_folder.h"
#include "strop/data/table.h"

namespace strop::loop {
namespace {

namespace fs = std::filesystem;

// Rows first, first + 1, … with the reason of each.
std::shared_ptr<arrow::Table> Rows(int64_t first, const std::vector<std::string>& reasons) {
  arrow::Int64Builder label;
  arrow::FloatBuilder x;
  arrow::StringBuilder reason;
  for (size_t i = 0; i < reasons.size(); ++i) {
    EXPECT_TRUE(label.Append(first + static_cast<int64_t>(i)).ok());
    EXPECT_TRUE(x.Append(0.5f).ok());
    EXPECT_TRUE(reason.Append(reasons[i]).ok());
  }
  return arrow::Table::Make(
      arrow::schema({arrow::field("x", arrow::float32()), arrow::field("label", arrow::int64()),
                     arrow::field("reason", arrow::utf8())}),
      {x.Finish().ValueOrDie(), label.Finish().ValueOrDie(), reason.Finish().ValueOrDie()});
}

// The rows of the column label.
std::vector<int64_t> Labels(const fs::path& file) {
  const TensorMap columns = data::ReadTensors(file.string(), {"label"});
  const auto labels = columns.at("label").As<int64_t>();
  return {labels.begin(), labels.end()};
}

class RowsTest : public testing::Test {
 protected:
  const TestFolder test_folder_;
  const std::filesystem::path folder_ = test_folder_.path();
};

TEST_F(RowsTest, ValidationIsTheFirstOfTheUniformShareAndNeverTrained) {
  data::WriteParquet(*Rows(0, {"uncertain", "uniform", "uniform", "uncertain", "uniform"}),
                     folder_ / "in.parquet");
  const LabelledRows rows =
      PartLabelled(folder_ / "in.parquet", 2, folder_ / "train.parquet", folder_ / "validation.parquet");
  EXPECT_EQ(rows.train, 3);
  EXPECT_EQ(rows.validation, 2);
  EXPECT_EQ(Labels(folder_ / "train.parquet"), (std::vector<int64_t>{0, 3, 4}));
  EXPECT_EQ(Labels(folder_ / "validation.parquet"), (std::vector<int64_t>{1, 2}));
}

TEST_F(RowsTest, MixesLabelledRowsWithTwiceAsManyKnownOnes) {
  data::WriteParquet(*Rows(0, {"uniform", "uniform", "uniform"}), folder_ / "new.parquet");
  data::WriteParquet(*Rows(100, std::vector<std::string>(50, "")), folder_ / "known.parquet");
  EXPECT_EQ(MixRows(folder_ / "new.parquet", folder_ / "known.parquet", 2.0, {"x", "label"}, 7,
                    folder_ / "out.parquet"),
            9);
  const std::vector<int64_t> labels = Labels(folder_ / "out.parquet");
  EXPECT_EQ(std::vector<int64_t>(labels.begin(), labels.begin() + 3), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_GE(labels[3], 100);
  EXPECT_EQ(std::set<int64_t>(labels.begin(), labels.end()).size(), 9u);
}

TEST_F(RowsTest, TakesAllKnownRowsWhenThereAreTooFew) {
  data::WriteParquet(*Rows(0, {"uniform", "uniform"}), folder_ / "new.parquet");
  data::WriteParquet(*Rows(100, {""}), folder_ / "known.parquet");
  EXPECT_EQ(
      MixRows(folder_ / "new.parquet", folder_ / "known.parquet", 2.0, {"label"}, 7, folder_ / "out.parquet"),
      3);
}

TEST_F(RowsTest, NoLabelledRowsIsAnError) {
  data::WriteParquet(*Rows(0, {}), folder_ / "new.parquet");
  data::WriteParquet(*Rows(100, {""}), folder_ / "known.parquet");
  EXPECT_THROW(
      MixRows(folder_ / "new.parquet", folder_ / "known.parquet", 2.0, {"label"}, 7, folder_ / "out.parquet"),
      Error);
}

}  // namespace
}  // namespace strop::loop
