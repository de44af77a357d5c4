#include "strop/tune/regression_tree.h"

#include <cmath>
#include <functional>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/rng.h"

namespace strop::tune {
namespace {

using Function = std::function<double(const std::vector<double>&)>;

std::vector<double> Point(const std::vector<int64_t>& choices, Rng& rng) {
  std::vector<double> point;
  for (int64_t values : choices)
    point.push_back(values == 0 ? rng.Uniform()
                                : static_cast<double>(rng.Below(static_cast<uint64_t>(values))));
  return point;
}

TreeData Data(std::vector<int64_t> choices, const std::vector<std::vector<double>>& points,
              const Function& f) {
  TreeData data{std::move(choices), {}, {}};
  data.columns.resize(data.choices.size());
  for (const std::vector<double>& point : points) {
    for (size_t c = 0; c < point.size(); ++c) data.columns[c].push_back(point[c]);
    data.targets.push_back(f(point));
  }
  return data;
}

TreeData Sample(const std::vector<int64_t>& choices, size_t rows, uint64_t seed, const Function& f) {
  Rng rng(seed);
  std::vector<std::vector<double>> points;
  while (points.size() < rows) points.push_back(Point(choices, rng));
  return Data(choices, points, f);
}

RegressionTree Grown(const TreeData& data) {
  std::vector<uint32_t> rows(data.rows());
  std::iota(rows.begin(), rows.end(), 0);
  return RegressionTree(data, rows);
}

double Steps(const std::vector<double>& x) { return x[0] < 0.5 ? 0 : x[1] < 0.5 ? 1 : 3; }

TEST(RegressionTreeTest, VarianceOfStepsIsThatWorkedOutByHand) {
  const RegressionTree tree =
      Grown(Data({0, 0}, {{0.25, 0.25}, {0.25, 0.75}, {0.75, 0.25}, {0.75, 0.75}}, Steps));
  // Values 0, 0, 1, 3, each on a quarter: mean 1, mean square 2.5. By the first 0 or 2, by the second 0.5
  // or 1.5.
  const Variance variance = tree.Decompose();
  EXPECT_DOUBLE_EQ(variance.total, 1.5);
  EXPECT_THAT(variance.main, testing::ElementsAre(testing::DoubleEq(1), testing::DoubleEq(0.25)));
}

TEST(RegressionTreeTest, VarianceOfChoicesIsThatOfTheirValues) {
  const RegressionTree tree = Grown(Data({4, 2}, {{0, 0}, {1, 0}, {2, 1}, {3, 1}}, [](const auto& x) {
    return std::vector<double>{5, 1, 5, 3}[x[0]];
  }));
  const Variance variance = tree.Decompose();
  EXPECT_DOUBLE_EQ(variance.total, 2.75);  // of 5, 1, 5, 3: mean 3.5, mean square 15
  EXPECT_DOUBLE_EQ(variance.main[0] + variance.main[1], 2.75);
  EXPECT_DOUBLE_EQ(variance.main[1], 0);
}

TEST(RegressionTreeTest, LearnsEveryRowItWasGrownOn) {
  const Function f = [](const auto& x) { return std::sin(9 * x[0]) * (x[1] + 1) + x[2]; };
  const TreeData data = Sample({0, 5, 0}, 300, 1, f);
  const RegressionTree tree = Grown(data);
  for (size_t row = 0; row < data.rows(); ++row) {
    const std::vector<double> point = {data.columns[0][row], data.columns[1][row], data.columns[2][row]};
    EXPECT_NEAR(tree.Predict(point), data.targets[row], 1e-5) << row;
  }
}

// The mean over the other coordinates by drawing them, at every value of a choice or at many of a number.
double DrawnMain(const RegressionTree& tree, const std::vector<int64_t>& choices, size_t coordinate,
                 Rng& rng) {
  constexpr int kPlaces = 200, kAllDraws = 400'000;
  const int places = choices[coordinate] == 0 ? kPlaces : static_cast<int>(choices[coordinate]);
  const int draws = kAllDraws / places;
  double sum = 0, square = 0;
  for (int place = 0; place < places; ++place) {
    double mean = 0;
    for (int i = 0; i < draws; ++i) {
      std::vector<double> point = Point(choices, rng);
      point[coordinate] = choices[coordinate] == 0 ? (place + 0.5) / kPlaces : place;
      mean += tree.Predict(point) / draws;
    }
    sum += mean / places;
    square += mean * mean / places;
  }
  return square - sum * sum;
}

TEST(RegressionTreeTest, VarianceIsThatOfManyDraws) {
  const std::vector<int64_t> choices = {0, 3, 0, 6};
  const RegressionTree tree = Grown(Sample(choices, 150, 2, [](const auto& x) {
    return std::sin(5 * x[0]) + x[1] * x[2] + (x[3] == 4 ? 1.5 : 0) + (x[3] == 1 ? x[0] : 0);
  }));
  const Variance variance = tree.Decompose();
  Rng rng(3);
  double sum = 0, square = 0;
  constexpr int kDraws = 400'000;
  for (int i = 0; i < kDraws; ++i) {
    const double value = tree.Predict(Point(choices, rng));
    sum += value / kDraws;
    square += value * value / kDraws;
  }
  EXPECT_NEAR(variance.total, square - sum * sum, 0.01 * variance.total);
  // A mean of 2,000 draws adds a two-thousandth of the variance.
  for (size_t c = 0; c < choices.size(); ++c)
    EXPECT_NEAR(variance.main[c], DrawnMain(tree, choices, c, rng), 0.005 * variance.total) << c;
}

TEST(RegressionTreeTest, NeighboursAndEndsOfTheRangeAreSplit) {
  const double next = std::nextafter(0.5, 1);
  const RegressionTree tree =
      Grown(Data({0}, {{0}, {0.5}, {next}, {1}}, [&](const auto& x) { return x[0] > 0.5 ? 1.0 : 0.0; }));
  EXPECT_EQ(tree.Predict(std::vector{0.5}), 0);
  EXPECT_EQ(tree.Predict(std::vector{next}), 1);
  EXPECT_NEAR(tree.Decompose().main[0], 0.25, 1e-12);
}

}  // namespace
}  // namespace strop::tune
