#include "strop/tune/cma/cma_sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strop/tune/cma/distribution.h"

namespace strop::tune::cma {
namespace {

Space Floats(size_t count) {
  std::vector<Parameter> parameters;
  for (size_t i = 0; i < count; ++i) parameters.push_back({fmt::format("x{:02}", i), FloatRange{-5, 5}, {}});
  return Space(parameters);
}

// Generations of the distribution alone, on draws.
double Minimize(const Space& space, const std::function<double(const std::vector<double>&)>& loss,
                int generations, Distribution& distribution) {
  double best = INFINITY;
  for (int g = 0; g < generations; ++g) {
    std::vector<std::pair<double, std::vector<double>>> draws;
    for (size_t k = 0; k < distribution.population(); ++k) {
      Rng rng(11, static_cast<uint64_t>(g) * 1000 + k);
      std::vector<double> draw = distribution.Sample(rng), settled = draw;
      space.Settle(settled);
      draws.emplace_back(loss(settled), draw);
    }
    std::sort(draws.begin(), draws.end());
    best = std::min(best, draws[0].first);
    std::vector<std::vector<double>> best_first;
    for (auto& [value, draw] : draws) best_first.push_back(std::move(draw));
    distribution.Update(best_first);
  }
  return best;
}

TEST(CmaDistributionTest, PopulationAndWeightsAreTheTutorials) {
  // Of ten numbers pycma 4.0 prints "(5_w,10)-aCMA-ES (mu_w=3.2,w_1=45%)".
  const Space space = Floats(10);
  const Distribution distribution(space);
  EXPECT_EQ(distribution.population(), 10u);
  const Eigen::VectorXd positive = distribution.weights().cwiseMax(0);
  EXPECT_NEAR(positive.sum(), 1, 1e-12);
  EXPECT_NEAR(positive[0], 0.4563, 1e-4);
  EXPECT_NEAR(1 / positive.squaredNorm(), 3.1673, 1e-4);
  EXPECT_EQ((positive.array() > 0).count(), 5);
}

TEST(CmaDistributionTest, ConvergesOnAnIllConditionedEllipsoid) {
  const Space space = Floats(5);
  Distribution distribution(space);
  const auto ellipsoid = [](const std::vector<double>& draw) {
    double sum = 0;
    for (size_t i = 0; i < draw.size(); ++i)
      sum += std::pow(1e4, static_cast<double>(i) / 4) * std::pow(draw[i] - 0.3, 2);
    return sum;
  };
  EXPECT_LT(Minimize(space, ellipsoid, 200, distribution), 1e-9);
  for (double mean : distribution.mean()) EXPECT_NEAR(mean, 0.3, 1e-3);
}

TEST(CmaDistributionTest, ReachesAnOptimumAtTheEdgeOfTheRange) {
  const Space space = Floats(4);
  Distribution distribution(space);
  const auto slope = [](const std::vector<double>& draw) {
    return std::accumulate(draw.begin(), draw.end(), 0.0);
  };
  EXPECT_LT(Minimize(space, slope, 60, distribution), 1e-6);
}

TEST(CmaDistributionTest, AMarginKeepsTheNeighboursOfAWholeNumberWithinReach) {
  const Space space(
      {{"n", IntRange{0, 9}, {}}, {"m", IntRange{1, 512, true}, {}}, {"x", FloatRange{0, 1}, {}}});
  Distribution distribution(space);
  // Both whole numbers are driven to a value and held there.
  const auto loss = [](const std::vector<double>& draw) {  // m, n, x
    return std::abs(draw[0] - 0.5) + 10 * std::abs(draw[1] - 0.05) + std::abs(draw[2] - 0.5);
  };
  Minimize(space, loss, 100, distribution);
  const int count = 20'000;
  std::vector<int> other(space.size());
  for (int k = 0; k < count; ++k) {
    Rng rng(5, static_cast<uint64_t>(k));
    const std::vector<double> draw = distribution.Sample(rng);
    for (size_t p = 0; p < space.size(); ++p)
      if (space.ValueCount(p) > 0 &&
          space.IndexAt(p, draw[p]) != space.IndexAt(p, distribution.mean()[static_cast<Eigen::Index>(p)]))
        ++other[p];
  }
  const double margin = 1.0 / (3 * static_cast<double>(distribution.population()));
  for (size_t p = 0; p < space.size(); ++p) {
    if (space.ValueCount(p) == 0) continue;
    EXPECT_GT(other[p], 0.8 * margin * count) << space.parameters()[p].name;
  }
}

TEST(CmaDistributionTest, ChoicesLearnTheBetterValueAndForgetNone) {
  const Space space({{"c", ChoiceList{{std::string("a"), std::string("b"), std::string("c")}}, {}},
                     {"x", FloatRange{0, 1}, {}}});
  Distribution distribution(space);
  const auto loss = [&](const std::vector<double>& draw) {
    return (space.IndexAt(0, draw[0]) == 2 ? 0 : 1) + std::pow(draw[1] - 0.7, 2);
  };
  Minimize(space, loss, 30, distribution);
  const Eigen::VectorXd& probabilities = distribution.probabilities()[0];
  EXPECT_NEAR(probabilities.sum(), 1, 1e-12);
  EXPECT_GT(probabilities[2], 0.75);
  EXPECT_GT(probabilities.minCoeff(), 0.01);
}

// A study of the sampler with `running` trials at a time.
struct Searched {
  double best = INFINITY;
  std::vector<Observation> finished;
};

Searched Search(const Space& space, const std::function<double(const std::vector<double>&)>& loss,
                int64_t trials, size_t running = 1) {
  Searched searched;
  std::vector<Observation> pending;
  for (int64_t trial = 0; trial < trials; ++trial) {
    const Suggestion suggestion = CmaSampler().Ask({space, searched.finished, pending, 3, trial});
    space.Check(suggestion.params);
    pending.push_back(Observation::Of(space, trial, suggestion.params));
    pending.back().state = suggestion.state;
    if (pending.size() < running) continue;
    Observation ended = pending.front();
    pending.erase(pending.begin());
    ended.losses = {loss(ended.draw)};
    searched.best = std::min(searched.best, ended.losses[0]);
    searched.finished.push_back(std::move(ended));
  }
  return searched;
}

double Sphere(const std::vector<double>& draw) {
  double sum = 0;
  for (double u : draw) sum += std::pow(u - 0.6, 2);
  return sum;
}

TEST(CmaSamplerTest, FindsTheMinimumWithOneTrialAtATimeAndWithMoreThanAGeneration) {
  const Space space = Floats(4);
  EXPECT_LT(Search(space, Sphere, 400).best, 1e-6);
  EXPECT_LT(Search(space, Sphere, 600, 20).best, 1e-4);
}

TEST(CmaSamplerTest, AStragglerOfAnEarlierGenerationDoesNotChangeWhatCameOfIt) {
  const Space space = Floats(3);
  Searched searched = Search(space, Sphere, 60);
  const int64_t number = 100;
  const Params before = CmaSampler().Ask({space, searched.finished, {}, 3, number}).params;
  Observation straggler = Observation::Of(space, 90, before, {-1e9});
  straggler.state = searched.finished[0].state;
  searched.finished.push_back(straggler);
  EXPECT_EQ(CmaSampler().Ask({space, searched.finished, {}, 3, number}).params, before);
}

TEST(CmaSamplerTest, TrialsOfOtherSamplersDoNotTakePart) {
  const Space space = Floats(3);
  Searched searched = Search(space, Sphere, 30);
  const Params before = CmaSampler().Ask({space, searched.finished, {}, 3, 77}).params;
  searched.finished.push_back(Observation::Of(space, 60, before, {-1e9}));
  EXPECT_EQ(CmaSampler().Ask({space, searched.finished, {}, 3, 77}).params, before);
}

TEST(CmaSamplerTest, BeginsAnewWithTwiceThePopulationWhenItHasComeToRest) {
  const Space space = Floats(2);
  const Searched searched = Search(space, Sphere, 700);
  // After the restart the draws are spread again.
  double widest = 0;
  for (size_t i = 500; i < searched.finished.size(); ++i)
    widest = std::max(widest, std::abs(searched.finished[i].draw[0] - 0.6));
  EXPECT_LT(searched.best, 1e-15);
  EXPECT_GT(widest, 0.1);
}

TEST(CmaSamplerTest, FailedTrialsCountAsTheWorst) {
  const Space space = Floats(2);
  Searched searched;
  // Whatever lies above the middle fails.
  for (int64_t trial = 0; trial < 90; ++trial) {
    const Suggestion suggestion = CmaSampler().Ask({space, searched.finished, {}, 3, trial});
    Observation ended = Observation::Of(space, trial, suggestion.params);
    ended.state = suggestion.state;
    if (ended.draw[0] < 0.5) ended.losses = {std::pow(ended.draw[1] - 0.2, 2)};
    searched.finished.push_back(std::move(ended));
  }
  const auto failed = std::count_if(searched.finished.end() - 30, searched.finished.end(),
                                    [](const Observation& trial) { return trial.losses.empty(); });
  EXPECT_LT(failed, 10);
}

}  // namespace
}  // namespace strop::tune::cma
