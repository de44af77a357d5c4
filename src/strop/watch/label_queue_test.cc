#include "strop/watch/label_queue.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <arrow/array.h>
#include <arrow/chunked_array.h>
#include <arrow/scalar.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "strop/base/error.h"
#include "strop/base/test_error.h"
#include "strop/base/test_folder.h"
#include "strop/data/table.h"
#include "strop/store/test_store.h"
#include "strop/watch/capture_row.h"
#include "strop/watch/label_import.h"

namespace strop::watch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LabelQueueTest : public testing::TestWithParam<std::string> {
 protected:
  static Capture Row(int i, std::optional<Reason> wanted = std::nullopt) {
    Capture capture;
    capture.request_id = "r" + std::to_string(i);
    capture.model = "model";
    capture.version = 1;
    capture.time = 1000 + i;
    capture.wanted = wanted;
    const std::vector<uint8_t> pixels = {static_cast<uint8_t>(i), 2, 3, 4};
    const std::vector<float> scores = {0.5f, 0.5f};
    capture.inputs = EncodeRow({{"image", Tensor::From<uint8_t>({1, 2, 2}, pixels)}});
    capture.outputs = EncodeRow({{"logits", Tensor::From<float>({1, 2}, scores)}});
    return capture;
  }
  void Put(int begin, int end, std::optional<Reason> wanted = std::nullopt, int64_t capture_rows = 1000) {
    std::vector<Capture> rows;
    for (int i = begin; i < end; ++i) rows.push_back(Row(i, wanted));
    queue_.PutCaptures(rows, capture_rows);
  }
  std::vector<std::string> Captured() {
    std::vector<std::string> ids;
    database_.Query("SELECT request_id FROM captures ORDER BY time", {},
                    [&](const store::Row& row) { ids.push_back(row.Text(0)); });
    return ids;
  }
  static std::vector<std::string> Ids(const std::vector<Wish>& wishes) {
    std::vector<std::string> ids;
    for (const auto& wish : wishes) ids.push_back(wish.request_id);
    return ids;
  }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  const TestFolder test_folder_;
  const std::filesystem::path folder_ = test_folder_.path();
  const store::TestStore store_{GetParam()};
  store::Database database_ = store_.Open();
  LabelQueue queue_{&database_};
};
INSTANTIATE_TEST_SUITE_P(Store, LabelQueueTest, testing::ValuesIn(store::StoreKinds()), store::StoreKindName);

TEST_P(LabelQueueTest, ARowIsEncodedWhole) {
  const std::vector<int64_t> ids = {7};
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const TensorMap row = {{"id", Tensor::From<int64_t>({1}, ids)},
                         {"x", Tensor::From<float>({1, 2, 3}, values)}};
  const TensorMap back = DecodeRow(EncodeRow(row));
  EXPECT_EQ(back.at("id").As<int64_t>()[0], 7);
  EXPECT_EQ(back.at("x").shape(), (Shape{1, 2, 3}));
  EXPECT_THAT(back.at("x").As<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(Thrown([&] {
              EncodeRow({{"x", Tensor::From<float>({2, 3}, values)}});
            }).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(Thrown([&] { DecodeRow({1, 2, 3}); }).code(), Code::kCorrupt);
}

TEST_P(LabelQueueTest, WishesAreAnsweredNewestFirstUntilLabelled) {
  Put(0, 3, Reason::kUniform);
  Put(3, 5);
  queue_.Request({{"r4", Reason::kUncertain}});
  EXPECT_THAT(Ids(queue_.Wanted(10)), ElementsAre("r4", "r2", "r1", "r0"));
  EXPECT_THAT(Ids(queue_.Wanted(2)), ElementsAre("r4", "r2"));
  queue_.PutLabels({{"r2", int64_t{1}}});
  EXPECT_THAT(Ids(queue_.Wanted(10)), ElementsAre("r4", "r1", "r0"));
}

TEST_P(LabelQueueTest, UniformTakesThePlaceOfUncertainAndNotTheReverse) {
  Put(0, 2);
  queue_.Request({{"r0", Reason::kUncertain}, {"r1", Reason::kUniform}});
  queue_.Request({{"r0", Reason::kUniform}, {"r1", Reason::kUncertain}});
  for (const auto& wish : queue_.Wanted(10)) EXPECT_EQ(wish.reason, Reason::kUniform);
}

TEST_P(LabelQueueTest, LabelsAreIdempotentAndMayBeCorrected) {
  Put(0, 2);
  for (int i = 0; i < 2; ++i) queue_.PutLabels({{"r0", int64_t{3}}, {"r1", std::string("cat")}});
  EXPECT_EQ(std::get<int64_t>(*database_.Scalar("SELECT count(*) FROM labels")), 2);
  queue_.PutLabels({{"r0", int64_t{4}}});
  EXPECT_EQ(std::get<int64_t>(*database_.Scalar("SELECT label FROM labels WHERE request_id = 'r0'")), 4);
}

TEST_P(LabelQueueTest, AnUnknownRequestRefusesTheWholeList) {
  Put(0, 2);
  const Error error = Thrown([&] { queue_.PutLabels({{"r0", int64_t{3}}, {"nobody", int64_t{1}}}); });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr("request nobody"));
  EXPECT_EQ(queue_.Counts().labelled, 0);
  EXPECT_EQ(Thrown([&] { queue_.Request({{"nobody", Reason::kUniform}}); }).code(), Code::kNotFound);
  EXPECT_EQ(Thrown([&] { queue_.PutLabels({{"r0", nullptr}}); }).code(), Code::kInvalidArgument);
}

TEST_P(LabelQueueTest, ARequestIdCapturedTwiceKeepsItsFirstRow) {
  Put(0, 1);
  Capture again = Row(0);
  again.version = 2;
  queue_.PutCaptures({again}, 10);
  EXPECT_EQ(std::get<int64_t>(*database_.Scalar("SELECT version FROM captures")), 1);
}

TEST_P(LabelQueueTest, TheOldestUnlabelledRowsMakeRoom) {
  Put(0, 6, Reason::kUniform);
  queue_.PutLabels({{"r0", int64_t{1}}, {"r2", int64_t{1}}});
  Put(6, 8, std::nullopt, 5);
  EXPECT_THAT(Captured(), ElementsAre("r0", "r2", "r5", "r6", "r7"));
  EXPECT_THAT(Ids(queue_.Wanted(10)), ElementsAre("r5"));
  Put(8, 9, std::nullopt, 2);
  EXPECT_THAT(Captured(), ElementsAre("r0", "r2"));
  Put(9, 10, std::nullopt, 1);
  EXPECT_THAT(Captured(), ElementsAre("r2"));
  EXPECT_EQ(queue_.Counts().labelled, 1);
}

TEST_P(LabelQueueTest, CountsAreByReasonSinceTheCapture) {
  Put(0, 4, Reason::kUniform);
  Put(4, 6, Reason::kUncertain);
  Put(6, 8);
  queue_.PutLabels({{"r0", int64_t{1}}, {"r3", int64_t{1}}, {"r4", int64_t{1}}, {"r7", int64_t{1}}});
  const LabelCounts all = queue_.Counts();
  EXPECT_EQ(all.captured, 8);
  EXPECT_EQ(all.wanted_uniform, 4);
  EXPECT_EQ(all.wanted_uncertain, 2);
  EXPECT_EQ(all.labelled, 4);
  EXPECT_EQ(all.labelled_uniform, 2);
  EXPECT_EQ(all.labelled_uncertain, 1);
  const LabelCounts late = queue_.Counts(1003);
  EXPECT_EQ(late.captured, 5);
  EXPECT_EQ(late.labelled_uniform, 1);
  EXPECT_EQ(late.labelled, 3);
}

TEST_P(LabelQueueTest, ExportJoinsInputsAndLabels) {
  Put(0, 3, Reason::kUniform);
  Put(3, 5, Reason::kUncertain);
  queue_.PutLabels({{"r4", int64_t{9}}, {"r1", int64_t{7}}, {"r2", int64_t{8}}});
  EXPECT_EQ(queue_.Export(Path("all.parquet"), {.label = "class"}), 3);
  const auto columns = data::DescribeSchema(*data::ReadSchema(Path("all.parquet")));
  EXPECT_EQ(columns[0].name, "image");
  EXPECT_EQ(columns[0].role, data::Role::kInput);
  EXPECT_EQ(columns[0].shape, (Shape{2, 2}));
  EXPECT_EQ(columns[0].dtype, DType::kU8);
  EXPECT_EQ(columns[1].role, data::Role::kLabel);
  const auto tensors = data::ReadTensors(Path("all.parquet"), {"image", "class"});
  EXPECT_THAT(tensors.at("class").As<int64_t>(), ElementsAre(7, 8, 9));
  EXPECT_EQ(tensors.at("image").As<uint8_t>()[8], 4);
  const auto table = data::ReadTable(Path("all.parquet"), {"request_id", "reason"});
  EXPECT_EQ((*table->column(0)->GetScalar(2))->ToString(), "r4");
  EXPECT_EQ((*table->column(1)->GetScalar(2))->ToString(), "uncertain");

  EXPECT_EQ(queue_.Export(Path("uniform.parquet"), {.reason = Reason::kUniform}), 2);
  EXPECT_EQ(queue_.Export(Path("late.parquet"), {.since = 1002}), 2);
  const Error error = Thrown([&] { queue_.Export(Path("none.parquet"), {.since = 5000}); });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(Path("none.parquet")));
}

TEST_P(LabelQueueTest, LabelsOfMixedKindsAreExportedAsTheWidest) {
  Put(0, 3);
  queue_.PutLabels({{"r0", int64_t{1}}, {"r1", 0.5}});
  queue_.Export(Path("a.parquet"), {});
  EXPECT_THAT(data::ReadTensors(Path("a.parquet"), {"label"}).at("label").As<double>(), ElementsAre(1, 0.5));
  queue_.PutLabels({{"r2", std::string("cat")}});
  queue_.Export(Path("b.parquet"), {});
  EXPECT_EQ(data::ReadSchema(Path("b.parquet"))->GetFieldByName("label")->type()->ToString(), "string");
}

TEST_P(LabelQueueTest, RowsOfAnotherShapeAreNotMixed) {
  Put(0, 1);
  Capture other = Row(1);
  other.inputs = EncodeRow({{"image", Tensor::New(DType::kU8, {1, 3})}});
  queue_.PutCaptures({other}, 10);
  queue_.PutLabels({{"r0", int64_t{1}}, {"r1", int64_t{1}}});
  EXPECT_THAT(Thrown([&] { queue_.Export(Path("a.parquet"), {}); }).what(),
              HasSubstr("request r1 has other inputs"));
}

TEST_P(LabelQueueTest, LabelsAreReadFromCsvAndParquet) {
  std::ofstream(Path("a.csv")) << "request_id,label,note\n007,3,x\nr1,4,y\n";
  auto labels = ReadLabels(Path("a.csv"), "request_id", "label");
  ASSERT_EQ(labels.size(), 2u);
  EXPECT_EQ(labels[0].request_id, "007");
  EXPECT_EQ(std::get<int64_t>(labels[0].label), 3);
  labels = ReadLabels(Path("a.csv"), "request_id", "note");
  EXPECT_EQ(std::get<std::string>(labels[1].label), "y");
  EXPECT_THAT(Thrown([&] { ReadLabels(Path("a.csv"), "id", "label"); }).what(), HasSubstr("no column id"));
  std::ofstream(Path("b.csv")) << "request_id,label\nr0,\nr1,4\n";
  EXPECT_THAT(Thrown([&] { ReadLabels(Path("b.csv"), "request_id", "label"); }).what(),
              HasSubstr("missing in row 0"));
  EXPECT_EQ(Thrown([&] { ReadLabels(Path("c.csv"), "a", "b"); }).code(), Code::kNotFound);

  Put(0, 2);
  queue_.PutLabels({{"r0", int64_t{1}}, {"r1", int64_t{2}}});
  queue_.Export(Path("a.parquet"), {});
  labels = ReadLabels(Path("a.parquet"), "request_id", "label");
  ASSERT_EQ(labels.size(), 2u);
  EXPECT_EQ(labels[1].request_id, "r1");
  EXPECT_EQ(std::get<int64_t>(labels[1].label), 2);
}

}  // namespace
}  // namespace strop::watch
