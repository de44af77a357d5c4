#include "strop/data/quality.h"

#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/rng.h"
#include "strop/data/test_support.h"

namespace strop::data {
namespace {

using testing::HasSubstr;

Tensor Doubles(Shape shape, const std::vector<double>& values) {
  return Tensor::From<double>(std::move(shape), values);
}
Tensor Ints(const std::vector<int64_t>& values) {
  return Tensor::From<int64_t>({static_cast<int64_t>(values.size())}, values);
}
double Value(const std::string& metric, const Tensor& predictions, const Tensor& labels) {
  return QualityMetric::Make(metric)->Value(predictions, labels);
}

// The numbers of scikit-learn's documentation of each function, which shows two digits and cuts off the rest.
TEST(Quality, AgreesWithScikitLearnsExamples) {
  EXPECT_DOUBLE_EQ(Value("accuracy", Ints({0, 2, 1, 3}), Ints({0, 1, 2, 3})), 0.5);
  EXPECT_NEAR(Value("f1", Ints({0, 2, 1, 0, 0, 1}), Ints({0, 1, 2, 0, 1, 2})), 0.26, 0.01);
  const Tensor scores = Doubles({4}, {0.1, 0.4, 0.35, 0.8});
  EXPECT_DOUBLE_EQ(Value("auc", scores, Ints({0, 0, 1, 1})), 0.75);
  EXPECT_NEAR(Value("pr_auc", scores, Ints({0, 0, 1, 1})), 0.83, 0.005);
  const Tensor three = Doubles(
      {6, 3}, {0.7, 0.2, 0.1, 0.4, 0.3, 0.3, 0.1, 0.8, 0.1, 0.2, 0.3, 0.5, 0.4, 0.4, 0.2, 0.1, 0.2, 0.7});
  EXPECT_NEAR(Value("pr_auc", three, Ints({0, 0, 1, 1, 2, 2})), 0.775, 0.005);
  EXPECT_NEAR(Value("rmse", Doubles({4}, {2.5, 0.0, 2, 8}), Doubles({4}, {3, -0.5, 2, 7})), 0.612, 0.0005);
  const Tensor relevance = Doubles({1, 5}, {10, 0, 0, 1, 5});
  EXPECT_NEAR(Value("ndcg@5", Doubles({1, 5}, {0.1, 0.2, 0.3, 4, 70}), relevance), 0.69, 0.006);
  EXPECT_NEAR(Value("ndcg@5", Doubles({1, 5}, {0.05, 1.1, 1.0, 0.5, 0.0}), relevance), 0.49, 0.006);
  EXPECT_NEAR(Value("ndcg@4", Doubles({1, 5}, {0.05, 1.1, 1.0, 0.5, 0.0}), relevance), 0.35, 0.006);
  EXPECT_NEAR(Value("ndcg@1", Doubles({1, 5}, {1, 0, 0, 0, 1}), relevance), 0.75, 1e-12);
}

TEST(Quality, ScoresOfEveryFormDecideTheSame) {
  const Tensor labels = Ints({0, 1, 1, 0});
  EXPECT_DOUBLE_EQ(Value("accuracy", Doubles({4}, {0.2, 0.9, 0.4, 0.1}), labels), 0.75);
  EXPECT_DOUBLE_EQ(Value("accuracy", Doubles({4, 1}, {-1.4, 2.2, -0.4, -2.2}), labels), 0.75);
  EXPECT_DOUBLE_EQ(Value("accuracy", Doubles({4, 2}, {0.8, 0.2, 0.1, 0.9, 0.6, 0.4, 0.9, 0.1}), labels),
                   0.75);
  EXPECT_DOUBLE_EQ(Value("ndcg@1", Doubles({4, 2}, {0.8, 0.2, 0.1, 0.9, 0.6, 0.4, 0.9, 0.1}), labels), 0.75);
  const Tensor floats = Doubles({4, 2}, {0.8, 0.2, 0.1, 0.9, 0.6, 0.4, 0.9, 0.1}).Cast(DType::kF32);
  EXPECT_DOUBLE_EQ(Value("accuracy", floats, labels), 0.75);
}

// The area under the ROC curve is the share of pairs ranked right (Hanley and McNeil 1982).
TEST(Quality, AucIsTheShareOfPairsRankedRight) {
  Rng rng(1);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<double> scores(60);
    std::vector<int64_t> labels(60);
    for (size_t i = 0; i < 60; ++i) {
      labels[i] = rng.Below(3) == 0;
      scores[i] = static_cast<double>(rng.Below(12)) / 12;  // with ties
    }
    double right = 0, pairs = 0;
    for (size_t i = 0; i < 60; ++i) {
      for (size_t j = 0; j < 60; ++j) {
        if (labels[i] == 1 && labels[j] == 0) {
          pairs += 1;
          right += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
        }
      }
    }
    EXPECT_NEAR(Value("auc", Doubles({60}, scores), Ints(labels)), right / pairs, 1e-12);
  }
}

TEST(Quality, LogitsAndTheirProbabilitiesRankTheSame) {
  Rng rng(2);
  std::vector<double> logits(50 * 4), probabilities(50 * 4);
  std::vector<int64_t> labels(50);
  for (size_t row = 0; row < 50; ++row) {
    labels[row] = static_cast<int64_t>(row % 4);
    double sum = 0;
    for (size_t c = 0; c < 4; ++c) {
      logits[4 * row + c] = rng.Normal() * 3;
      sum += probabilities[4 * row + c] = std::exp(logits[4 * row + c]);
    }
    for (size_t c = 0; c < 4; ++c) probabilities[4 * row + c] /= sum;
  }
  for (const char* metric : {"auc", "pr_auc"}) {
    EXPECT_NEAR(Value(metric, Doubles({50, 4}, logits), Ints(labels)),
                Value(metric, Doubles({50, 4}, probabilities), Ints(labels)), 1e-12);
  }
}

TEST(Quality, WrongInputIsRefused) {
  const auto message = [](auto call) { return std::string(Thrown(call).what()); };
  EXPECT_THAT(message([] { QualityMetric::Make("acuracy"); }), HasSubstr("expected accuracy, f1, auc"));
  EXPECT_EQ(Thrown([] { QualityMetric::Make("ndcg@0"); }).code(), Code::kInvalidArgument);
  EXPECT_THAT(message([] {
                Value("accuracy", Ints({1, 2}), Ints({1, 2, 3}));
              }),
              HasSubstr("[2] and labels [3]"));
  EXPECT_THAT(message([] {
                Value("accuracy", Doubles({1, 2}, {0, 1}), Ints({2}));
              }),
              HasSubstr("from 0 to 1"));
  EXPECT_THAT(message([] {
                Value("rmse", Doubles({2}, {0, NAN}), Doubles({2}, {0, 1}));
              }),
              HasSubstr("NaN in row 1"));
  EXPECT_EQ(Thrown([] { Value("auc", Doubles({2}, {0, 1}), Ints({1, 1})); }).code(), Code::kInvalidArgument);
}

// Fagerland, Lydersen and Laake, "Recommended tests and confidence intervals for paired binomial
// proportions", Statistics in Medicine 33, 2014: airway hyper-responsiveness, 1 and 7 discordant of 21,
// Tango's interval.
TEST(Quality, TangoIntervalOfThePublishedExample) {
  const Interval interval = TangoInterval(1, 7, 21);
  EXPECT_NEAR(interval.low, -0.517, 0.0005);
  EXPECT_NEAR(interval.high, -0.026, 0.0005);
}

// The statistic by its definition: the nuisance share is found by maximising the likelihood on a grid, not by
// Tango's quadratic.
double NaiveScore(double gained, double lost, double rows, double delta) {
  double best = -INFINITY, best_lost = 0;
  for (int i = 1; i < 200'000; ++i) {
    const double lost_share = i / 200'000.0, gained_share = lost_share + delta;
    if (gained_share <= 0 || gained_share + lost_share >= 1) continue;
    const double likelihood = gained * std::log(gained_share) + lost * std::log(lost_share) +
                              (rows - gained - lost) * std::log(1 - gained_share - lost_share);
    if (likelihood > best) best = likelihood, best_lost = lost_share;
  }
  return (gained - lost - rows * delta) / std::sqrt(rows * (2 * best_lost + delta * (1 - delta)));
}

TEST(Quality, TangoLimitsAreWhereTheScoreStatisticIsCritical) {
  for (const auto& [gained, lost, rows] :
       {std::tuple{6., 16., 161.}, {40., 20., 160.}, {3., 3., 50.}, {12., 1., 300.}}) {
    const Interval interval = TangoInterval(gained, lost, rows);
    EXPECT_NEAR(NaiveScore(gained, lost, rows, interval.low), 1.96, 2e-3);
    EXPECT_NEAR(NaiveScore(gained, lost, rows, interval.high), -1.96, 2e-3);
    const Interval mirrored = TangoInterval(lost, gained, rows);
    EXPECT_NEAR(mirrored.low, -interval.high, 1e-9);
    EXPECT_NEAR(mirrored.high, -interval.low, 1e-9);
  }
}

TEST(Quality, WithoutDisagreementTheIntervalIsThatOfNoEvents) {
  const double z2 = 1.959963984540054 * 1.959963984540054;
  const Interval interval = TangoInterval(0, 0, 100);
  EXPECT_NEAR(interval.low, -z2 / (100 + z2), 1e-9);
  EXPECT_NEAR(interval.high, z2 / (100 + z2), 1e-9);
  EXPECT_EQ(RowsNeeded(0.01, 0), static_cast<int64_t>(std::ceil(z2 * 0.99 / 0.01)));
}

TEST(Quality, RowsNeededAreJustEnough) {
  for (const double disagreement : {0.01, 0.05, 0.2}) {
    const auto rows = static_cast<double>(RowsNeeded(0.01, disagreement));
    EXPECT_GE(TangoInterval(rows * disagreement / 2, rows * disagreement / 2, rows).low, -0.01);
    EXPECT_LT(TangoInterval((rows - 1) * disagreement / 2, (rows - 1) * disagreement / 2, rows - 1).low,
              -0.01);
  }
}

TEST(Quality, AGainIsPositiveWhenTheCandidateIsBetter) {
  Rng rng(3);
  std::vector<double> truth(300), near(300), far(300);
  for (size_t i = 0; i < 300; ++i) {
    truth[i] = rng.Normal();
    near[i] = truth[i] + 0.1 * rng.Normal();
    far[i] = truth[i] + 0.5 * rng.Normal();
  }
  const auto result =
      QualityMetric::Make("rmse")->Compare(Doubles({300}, far), Doubles({300}, near), Doubles({300}, truth));
  EXPECT_NEAR(result.gain, 0.4, 0.05);
  EXPECT_GT(result.interval.low, 0.3);
  EXPECT_LT(result.interval.high, 0.5);
  EXPECT_LT(result.candidate, result.baseline);
  EXPECT_EQ(result.rows, 300);
}

TEST(Quality, ComparisonsCountTheSameRowsForBothModels) {
  const Tensor labels = Ints({0, 0, 0, 0, 1, 1, 1, 1});
  const auto same = QualityMetric::Make("accuracy")
                        ->Compare(Ints({0, 0, 0, 1, 1, 1, 1, 0}), Ints({0, 0, 0, 1, 1, 1, 1, 1}), labels);
  EXPECT_DOUBLE_EQ(same.baseline, 0.75);
  EXPECT_DOUBLE_EQ(same.candidate, 0.875);
  EXPECT_DOUBLE_EQ(same.gain, 0.125);
  const Interval expected = TangoInterval(1, 0, 8);
  EXPECT_DOUBLE_EQ(same.interval.low, expected.low);
  EXPECT_DOUBLE_EQ(same.interval.high, expected.high);
}

// Coverage of the 95% bootstrap interval over simulated pairs: 0.95 within four standard errors and the
// percentile method's known optimism at this size.
TEST(Quality, TheBootstrapIntervalCoversTheTruth) {
  int covered = 0;
  const int kTrials = 100;
  for (uint64_t trial = 0; trial < kTrials; ++trial) {
    Rng rng(11, trial);
    std::vector<int64_t> labels(150);
    std::vector<double> weak(150), strong(150);
    for (size_t i = 0; i < 150; ++i) {
      labels[i] = static_cast<int64_t>(i % 2);
      weak[i] = static_cast<double>(labels[i]) + rng.Normal();
      strong[i] = static_cast<double>(labels[i]) * 2 + rng.Normal();
    }
    const auto result = QualityMetric::Make("auc")->Compare(Doubles({150}, weak), Doubles({150}, strong),
                                                            Ints(labels), trial);
    // AUC of two normals a distance d apart is Phi(d / sqrt(2)).
    const double truth = std::erfc(-2 / 2.0) / 2 - std::erfc(-1 / 2.0) / 2;
    covered += result.interval.low <= truth && truth <= result.interval.high;
  }
  EXPECT_GE(covered, 86);
}

}  // namespace
}  // namespace strop::data
