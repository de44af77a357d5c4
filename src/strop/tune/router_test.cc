#include "strop/tune/router.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strop::tune {
namespace {

using testing::HasSubstr;
using testing::Not;

Space Cube(size_t parameters) {
  std::vector<Parameter> made;
  for (size_t i = 0; i < parameters; ++i)
    made.push_back({"x" + std::to_string(1000 + i), FloatRange{0, 1}, {}});
  return Space(made);
}

std::vector<Observation> Trials(const Space& space, int64_t count) {
  std::vector<Observation> trials;
  for (int64_t i = 0; i < count; ++i) {
    const Suggestion random = AskRandom({space, {}, {}, 7, i});
    trials.push_back(Observation::Of(space, i, random.params, {static_cast<double>(i % 17)}));
  }
  return trials;
}

// Of the first of trials from `trial` on that is not random by chance.
Suggestion Chosen(const Space& space, const std::vector<Observation>& finished, double trial_seconds = 0,
                  const std::vector<Observation>& pending = {}) {
  for (int64_t trial = static_cast<int64_t>(finished.size());; ++trial) {
    Suggestion suggestion = AutoSampler().Ask({space, finished, pending, 1, trial, 1, trial_seconds});
    if (suggestion.sampler != "random") return suggestion;
  }
}

TEST(RouterTest, FewParametersGoToTheGaussianProcess) {
  const Space space = Cube(4);
  const Suggestion suggestion = Chosen(space, Trials(space, 30));
  EXPECT_EQ(suggestion.sampler, "gp");
  EXPECT_THAT(suggestion.reason, HasSubstr("4 parameters"));
}

TEST(RouterTest, ManyParametersGoToCmaEs) {
  const Space space = Cube(AutoSampler::kGpParameters + 1);
  const Suggestion suggestion = Chosen(space, Trials(space, 30));
  EXPECT_EQ(suggestion.sampler, "cmaes");
  EXPECT_THAT(suggestion.reason, HasSubstr("above"));
}

TEST(RouterTest, ManyTrialsGoToTheParzenEstimator) {
  const Space space = Cube(2);
  const Suggestion suggestion = Chosen(space, Trials(space, AutoSampler::kGpTrials + 1));
  EXPECT_EQ(suggestion.sampler, "tpe");
  EXPECT_THAT(suggestion.reason, HasSubstr("finished trials"));
}

TEST(RouterTest, AMonteCarloGainIsForTrialsSideBySideThatTakeLongerThanIt) {
  const Space space = Cube(2);
  const std::vector<Observation> finished = Trials(space, 20);
  const std::vector<Observation> pending = {
      Observation::Of(space, 20, AskRandom({space, {}, {}, 7, 20}).params)};
  const auto monte_carlo = [&](double seconds, const std::vector<Observation>& running) {
    const Suggestion suggestion = Chosen(space, finished, seconds, running);
    EXPECT_EQ(suggestion.sampler, "gp");
    return suggestion.reason.find("Monte Carlo") != std::string::npos;
  };
  EXPECT_TRUE(monte_carlo(AutoSampler::kCostly, pending));
  EXPECT_FALSE(monte_carlo(0.9 * AutoSampler::kCostly, pending));
}

TEST(RouterTest, AMonteCarloGainIsForNoisyValuesThatTakeLongerThanIt) {
  const Space space = Cube(1);
  const auto suggested = [&](double noise, double seconds) {
    std::vector<Observation> finished;
    for (int64_t i = 0; i < 40; ++i) {
      const double x = static_cast<double>(i) / 40, sign = i % 2 == 0 ? 1 : -1;
      finished.push_back(Observation::Of(space, i, {{"x1000", x}}, {x * x + sign * noise}));
    }
    const Suggestion suggestion = AutoSampler().Ask({space, finished, {}, 1, 40, 1, seconds});
    EXPECT_EQ(suggestion.sampler, "gp");
    return suggestion;
  };
  const Suggestion noisy = suggested(0.2, AutoSampler::kCostly);
  EXPECT_THAT(noisy.reason, testing::AllOf(HasSubstr("noise is"), HasSubstr("Monte Carlo")));
  EXPECT_NE(noisy.params, suggested(0.2, 0.9 * AutoSampler::kCostly).params);
  EXPECT_THAT(suggested(0.2, 0.9 * AutoSampler::kCostly).reason, Not(HasSubstr("Monte Carlo")));
  EXPECT_THAT(suggested(0, 1000).reason, Not(HasSubstr("Monte Carlo")));
}

TEST(RouterTest, ASmallShareIsRandom) {
  const Space space = Cube(2);
  const std::vector<Observation> finished = Trials(space, 20);
  int random = 0;
  for (int64_t trial = 20; trial < 520; ++trial) {
    const Suggestion suggestion = AutoSampler().Ask({space, finished, {}, 1, trial});
    if (suggestion.sampler != "random") continue;
    ++random;
    EXPECT_THAT(suggestion.reason, HasSubstr("random"));
  }
  EXPECT_GT(random, 5);
  EXPECT_LT(random, 50);
}

}  // namespace
}  // namespace strop::tune
