#include "strop/tune/sampler.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/tune/sobol.h"

namespace strop::tune {
namespace {

TEST(SobolTest, FirstPointsAreTheTextbooks) {
  // Joe and Kuo's example output for new-joe-kuo-6.21201, three dimensions, in Gray code order.
  const double expected[8][3] = {{0, 0, 0},
                                 {0.5, 0.5, 0.5},
                                 {0.75, 0.25, 0.25},
                                 {0.25, 0.75, 0.75},
                                 {0.375, 0.375, 0.625},
                                 {0.875, 0.875, 0.125},
                                 {0.625, 0.125, 0.875},
                                 {0.125, 0.625, 0.375}};
  for (uint64_t i = 0; i < 8; ++i) {
    const auto point = SobolPoint(i, 3, 0, false);
    for (size_t d = 0; d < 3; ++d) EXPECT_EQ(point[d], expected[i][d]) << i << " " << d;
  }
}

TEST(SobolTest, EveryDimensionIsAPermutationOfTheStrata) {
  for (bool shift : {false, true}) {
    std::vector<std::set<int>> strata(kSobolDimensions);
    for (uint64_t i = 0; i < 256; ++i) {
      const auto point = SobolPoint(i, kSobolDimensions, 7, shift);
      for (size_t d = 0; d < kSobolDimensions; ++d) strata[d].insert(static_cast<int>(point[d] * 256));
    }
    for (size_t d = 0; d < kSobolDimensions; ++d) EXPECT_EQ(strata[d].size(), 256u) << d;
  }
}

Space Small() {
  return Space({{"opt", ChoiceList{{std::string("sgd"), std::string("adam")}}, {}},
                {"nesterov", ChoiceList{{true, false}}, {{"opt", std::string("sgd")}}},
                {"layers", IntRange{1, 4}, {}}});
}

class DiscreteSamplerTest : public testing::TestWithParam<const char*> {};

TEST_P(DiscreteSamplerTest, TriesEveryConfigurationOnceAndThenSaysExhausted) {
  const Space space = Small();
  const auto sampler = MakeSampler(GetParam());
  std::vector<Observation> finished, pending;
  std::set<std::string> seen;
  for (int64_t trial = 0; trial < 12; ++trial) {
    const Params params = sampler->Ask({space, finished, pending, 5, trial}).params;
    space.Check(params);
    ASSERT_TRUE(seen.insert(ParamsText(params)).second) << ParamsText(params);
    const double value =
        static_cast<double>(std::get<int64_t>(params.at("layers"))) + (params.count("nesterov") ? 0 : 10);
    // Every third trial stays running, so that both histories count.
    if (trial % 3 == 2)
      pending.push_back(Observation::Of(space, trial, params));
    else
      finished.push_back(Observation::Of(space, trial, params, {value}));
  }
  EXPECT_THROW(sampler->Ask({space, finished, pending, 5, 12}), Exhausted);
}

INSTANTIATE_TEST_SUITE_P(All, DiscreteSamplerTest,
                         testing::Values("random", "sobol", "grid", "gp", "tpe", "cmaes", "auto"));

class SamplerPurityTest : public testing::TestWithParam<const char*> {};

TEST_P(SamplerPurityTest, AnswersDependOnTheQuestionAlone) {
  const Space space({{"x", FloatRange{-5, 10}, {}}, {"n", IntRange{1, 64, true}, {}}});
  std::vector<Observation> finished;
  for (int64_t trial = 0; trial < 14; ++trial) {
    const Params params = MakeSampler(GetParam())->Ask({space, finished, {}, 9, trial}).params;
    const auto other = MakeSampler(GetParam());
    other->Ask({space, {}, {}, 1, trial + 100});
    ASSERT_EQ(other->Ask({space, finished, {}, 9, trial}).params, params);
    const double x = std::get<double>(params.at("x"));
    const double n = static_cast<double>(std::get<int64_t>(params.at("n")));
    finished.push_back(Observation::Of(space, trial, params, {x * x + std::abs(std::log(n / 8))}));
  }
}

INSTANTIATE_TEST_SUITE_P(All, SamplerPurityTest,
                         testing::Values("random", "sobol", "gp", "tpe", "cmaes", "auto"));

class ConstrainedSamplerTest : public testing::TestWithParam<const char*> {};

TEST_P(ConstrainedSamplerTest, NeverSuggestsWhatIsForbidden) {
  const Space space({{"x", FloatRange{0, 1}, {}}, {"y", FloatRange{0, 1}, {}}}, {"x + y <= 0.5"});
  std::vector<Observation> finished;
  for (int64_t trial = 0; trial < 25; ++trial) {
    const Params params = MakeSampler(GetParam())->Ask({space, finished, {}, 4, trial}).params;
    const double x = std::get<double>(params.at("x")), y = std::get<double>(params.at("y"));
    EXPECT_LE(x + y, 0.5) << trial;
    finished.push_back(Observation::Of(space, trial, params, {-x - 2 * y}));  // pulls out of the allowed
  }
}

INSTANTIATE_TEST_SUITE_P(All, ConstrainedSamplerTest,
                         testing::Values("random", "sobol", "gp", "tpe", "cmaes"));

TEST(SamplerTest, ConstraintsThatNothingKeepsToAreSaid) {
  const Space space({{"x", FloatRange{0, 1}, {}}}, {"x > 2"});
  EXPECT_THROW(AskRandom({space, {}, {}, 1, 0}), Error);
}

TEST(SamplerTest, UnknownNameListsWhatThereIs) {
  try {
    MakeSampler("best");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "sampler \"best\": expected auto, gp, tpe, cmaes, random, sobol or grid");
  }
}

TEST(ConstraintTest, AConstraintThatNothingKeepsToIsNamed) {
  for (const int64_t high : {int64_t{3}, int64_t{100'000}}) {
    const Space space({{"a", IntRange{1, high}, {}}, {"b", IntRange{1, high}, {}}}, {"a + b < 0"});
    for (const char* sampler : {"random", "tpe"}) {
      try {
        MakeSampler(sampler)->Ask({space, {}, {}, 1, 0});
        ADD_FAILURE() << high;
      } catch (const Exhausted&) {
        ADD_FAILURE() << high << " is not used up";
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("\"a + b < 0\""));
      }
    }
  }
}

TEST(ConstraintTest, ARareConfigurationIsDrawnWithoutAPreference) {
  const Space space({{"a", IntRange{1, 300}, {}}, {"b", IntRange{1, 300}, {}}, {"c", IntRange{1, 300}, {}}},
                    {"a + b + c == 300"});
  double sum = 0;
  for (int64_t trial = 0; trial < 40; ++trial)
    sum += static_cast<double>(std::get<int64_t>(AskRandom({space, {}, {}, 1, trial}).params.at("a")));
  EXPECT_NEAR(sum / 40, 100, 35);  // a third of the sum, and four standard errors
}

}  // namespace
}  // namespace strop::tune
