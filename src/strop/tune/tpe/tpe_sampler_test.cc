#include "strop/tune/tpe/tpe_sampler.h"

#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "strop/tune/tpe/parzen.h"

namespace strop::tune::tpe {
namespace {

const double kNone = std::nan("");

// A density of hand-made draws, all of one weight.
struct Made {
  Space space;
  std::vector<std::vector<double>> draws;
  std::vector<std::span<const double>> spans{draws.begin(), draws.end()};
  Parzen density{space, GroupParameters(space, spans), spans, std::vector<double>(draws.size(), 1.0), 1.0};

  double At(std::vector<double> draw) const {
    const Eigen::Map<Eigen::MatrixXd> column(draw.data(), static_cast<Eigen::Index>(draw.size()), 1);
    return std::exp(density.LogDensity(column)[0]);
  }
};

// The sum over a grid of [0, 1] of a function of its middles, per cell.
double Integral(int cells, const std::function<double(double)>& density) {
  double sum = 0;
  for (int i = 0; i < cells; ++i) sum += density((i + 0.5) / cells) / cells;
  return sum;
}

Space Plain() {
  return Space({{"c", ChoiceList{{int64_t{1}, int64_t{2}, int64_t{3}}}, {}},
                {"x", FloatRange{0, 1}, {}},
                {"y", FloatRange{1e-3, 1, true}, {}}});
}

TEST(ParzenTest, IntegratesToOneOverNumbersAndChoices) {
  const Made made{Plain(), {{1 / 6.0, 0.1, 0.9}, {1 / 6.0, 0.15, 0.8}, {5 / 6.0, 0.99, 0.01}}};
  double sum = 0;
  for (double c : {1 / 6.0, 0.5, 5 / 6.0})
    sum += Integral(60, [&](double x) { return Integral(60, [&](double y) { return made.At({c, x, y}); }); });
  EXPECT_NEAR(sum, 1, 1e-3);
}

TEST(ParzenTest, IsTheMixtureOfTruncatedNormalsThatItSays) {
  const Made made{Space({{"x", FloatRange{0, 1}, {}}}), {{0.2}, {0.9}}};
  // Width 0.2 * 2^(-1/5); two kernels and the uniform component, each a third.
  const double h = 0.2 * std::pow(2.0, -0.2);
  const auto phi = [](double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); };
  for (double x : {0.0, 0.25, 0.6, 1.0}) {
    double expected = 1;
    for (double center : {0.2, 0.9})
      expected += std::exp(-0.5 * std::pow((x - center) / h, 2)) / (h * std::sqrt(2 * M_PI)) /
                  (phi((1 - center) / h) - phi(-center / h));
    EXPECT_NEAR(made.At({x}) / (expected / 3), 1, 1e-3) << x;
  }
}

TEST(ParzenTest, SamplesAsItsDensitySays) {
  const Made made{Plain(), {{1 / 6.0, 0.1, 0.9}, {0.5, 0.15, 0.8}, {0.5, 0.99, 0.01}}};
  Rng rng(1, 2);
  const int count = 200'000;
  const Eigen::MatrixXd draws = made.density.Sample(count, rng);
  // The share of each choice with x below a third.
  for (double c : {1 / 6.0, 0.5, 5 / 6.0}) {
    const double expected = Integral(300, [&](double x) {
      return x > 1 / 3.0 ? 0 : Integral(40, [&](double y) { return made.At({c, x, y}); });
    });
    const auto seen =
        ((draws.row(0).array() - c).abs() < 1e-9 && draws.row(1).array() <= 1 / 3.0).count() / double{count};
    EXPECT_NEAR(seen, expected, 4 * std::sqrt(expected / count) + 2e-3) << c;
  }
}

TEST(ParzenTest, ModelsAConditionalParameterWhereItIsActive) {
  const Space space(
      {{"opt", ChoiceList{{int64_t{0}, int64_t{1}}}, {}}, {"x", FloatRange{0, 1}, {{"opt", int64_t{1}}}}});
  // opt, x: one draw without x, two with.
  const Made made{space, {{0.25, kNone}, {0.75, 0.2}, {0.75, 0.3}}};
  const double without = made.At({0.25, kNone});
  const double with = Integral(500, [&](double x) { return made.At({0.75, x}); });
  EXPECT_NEAR(without + with, 1, 1e-3);
  EXPECT_GT(made.At({0.75, 0.25}), 3 * made.At({0.75, 0.9}));
}

TEST(ParzenTest, AWholeNumberHasAShareOfTheDensity) {
  const Made made{Space({{"n", IntRange{0, 4}, {}}}), {{0.1}, {0.1}, {0.9}}};
  double sum = 0;
  for (int k = 0; k < 5; ++k) sum += made.At({(k + 0.5) / 5}) / 5;
  EXPECT_NEAR(sum, 1, 0.05) << "the middle stands for the whole share";
  EXPECT_GT(made.At({0.1}), made.At({0.9}));
}

double Best(const Space& space, const std::function<double(const std::vector<double>&)>& loss, int64_t trials,
            uint64_t seed, const Sampler& sampler) {
  std::vector<Observation> finished;
  double best = INFINITY;
  for (int64_t trial = 0; trial < trials; ++trial) {
    const Suggestion suggestion = sampler.Ask({space, finished, {}, seed, trial});
    space.Check(suggestion.params);
    finished.push_back(Observation::Of(space, trial, suggestion.params));
    finished.back().losses = {loss(finished.back().draw)};
    best = std::min(best, finished.back().losses[0]);
  }
  return best;
}

TEST(TpeSamplerTest, FindsWhatRandomSearchDoesNotInASpaceOfAllKinds) {
  const Space space = Plain();
  const auto loss = [](const std::vector<double>& draw) {
    return (std::abs(draw[0] - 0.5) > 0.1) + std::pow(draw[1] - 0.7, 2) + std::pow(draw[2] - 0.3, 2);
  };
  int wins = 0;
  for (uint64_t seed = 0; seed < 10; ++seed)
    wins += Best(space, loss, 80, seed, TpeSampler()) < Best(space, loss, 80, seed, *MakeSampler("random"));
  EXPECT_GE(wins, 9);
}

TEST(TpeSamplerTest, ATenthOfTheTrialsIsGoodAndNeverMoreThan25) {
  EXPECT_EQ(TpeSampler::GoodCount(2), 1u);
  EXPECT_EQ(TpeSampler::GoodCount(11), 2u);
  EXPECT_EQ(TpeSampler::GoodCount(100), 10u);
  EXPECT_EQ(TpeSampler::GoodCount(100'000), 25u);
}

TEST(TpeSamplerTest, WhatIsRunningIsNotSuggestedAgain) {
  const Space space({{"x", FloatRange{0, 1}, {}}});
  std::vector<Observation> finished, pending;
  for (int64_t trial = 0; trial < 40; ++trial) {
    const double x = static_cast<double>(trial) / 40;
    finished.push_back(Observation::Of(space, trial, {{"x", x}}, {std::abs(x - 0.5)}));
  }
  const auto ask = [&] {
    return std::get<double>(TpeSampler().Ask({space, finished, pending, 1, 40}).params.at("x"));
  };
  const double alone = ask();
  for (int64_t k = 0; k < 30; ++k) pending.push_back(Observation::Of(space, 50 + k, {{"x", alone}}));
  EXPECT_GT(std::abs(ask() - alone), 0.01);
}

}  // namespace
}  // namespace strop::tune::tpe
