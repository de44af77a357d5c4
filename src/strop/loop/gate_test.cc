#include "strop/loop/gate.h"

#include <filesystem>

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/base/test_folder.h"
#include "strop/data/table.h"

namespace strop::loop {
namespace {

namespace fs = std::filesystem;

class GateTest : public testing::Test {
 protected:
  // Predictions of two classes that are right on `right` of `rows` rows; labels all 1 but for the first.
  fs::path Predictions(const std::string& name, int64_t rows, int64_t right, int64_t first_label = 1) {
    std::vector<float> scores;
    std::vector<int64_t> labels(static_cast<size_t>(rows), 1);
    labels[0] = first_label;
    for (int64_t i = 0; i < rows; ++i) {
      const bool one = (labels[static_cast<size_t>(i)] == 1) == (i < right);
      scores.insert(scores.end(), {one ? 0.f : 1.f, one ? 1.f : 0.f});
    }
    std::shared_ptr<arrow::Field> score_field, label_field;
    const auto score = data::TensorToColumn(Tensor::From<float>({rows, 2}, scores),
                                            {"logits", data::Role::kNone, DType::kF32, {2}}, &score_field);
    const auto label = data::TensorToColumn(Tensor::From<int64_t>({rows}, labels),
                                            {"label", data::Role::kLabel, DType::kI64, {}}, &label_field);
    const fs::path file = folder_ / name;
    data::WriteParquet(*arrow::Table::Make(arrow::schema({score_field, label_field}), {score, label}), file);
    return file;
  }

  const TestFolder test_folder_;
  const std::filesystem::path folder_ = test_folder_.path();
};

TEST_F(GateTest, PromotesWhatIsClearlyBetter) {
  const Decision decision =
      Compare(Predictions("a", 300, 200), Predictions("b", 300, 270), "label", "accuracy", 0);
  EXPECT_TRUE(decision.promote);
  EXPECT_NEAR(decision.result.gain, 70.0 / 300, 1e-9);
  EXPECT_GT(decision.result.interval.low, 0);
  EXPECT_THAT(decision.evidence_json, testing::HasSubstr("promoted"));
}

TEST_F(GateTest, RejectsWhatIsWorseWithItsEvidence) {
  const Decision decision =
      Compare(Predictions("a", 300, 270), Predictions("b", 300, 30), "label", "accuracy", 0);
  EXPECT_FALSE(decision.promote);
  EXPECT_LT(decision.result.interval.high, 0);
  EXPECT_THAT(decision.evidence_json,
              testing::AllOf(testing::HasSubstr("rejected"), testing::HasSubstr("300 rows")));
}

TEST_F(GateTest, TooFewRowsToTellDoNotPromote) {
  EXPECT_FALSE(Compare(Predictions("a", 10, 8), Predictions("b", 10, 9), "label", "accuracy", 0).promote);
}

TEST_F(GateTest, AGuardrailAdmitsASmallLoss) {
  const fs::path champion = Predictions("a", 1000, 900), candidate = Predictions("b", 1000, 897);
  EXPECT_FALSE(Compare(champion, candidate, "label", "accuracy", 0).promote);
  EXPECT_TRUE(Compare(champion, candidate, "label", "accuracy", 0.02).promote);
}

TEST_F(GateTest, PredictionsOfOtherRowsAreRefused) {
  EXPECT_THROW(Compare(Predictions("a", 100, 50), Predictions("b", 100, 50, 0), "label", "accuracy", 0),
               Error);
}

}  // namespace
}  // namespace strop::loop
