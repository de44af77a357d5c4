#include "strop/tune/importance.h"

#include <cmath>
#include <functional>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/rng.h"
#include "strop/base/test_error.h"

namespace strop::tune {
namespace {

using testing::HasSubstr;

// Trials at random, with the loss that `f` gives their parameters.
std::vector<Observation> Trials(const Space& space, size_t count, const std::function<double(Params)>& f) {
  Rng rng(11);
  std::vector<Observation> trials;
  while (trials.size() < count) {
    std::vector<double> draw(space.size());
    for (double& u : draw) u = rng.Uniform();
    const Params params = space.FromDraw(draw);
    trials.push_back(Observation::Of(space, static_cast<int64_t>(trials.size()), params, {f(params)}));
  }
  return trials;
}

std::map<std::string, double> Shares(const Space& space, const std::vector<Observation>& trials) {
  std::map<std::string, double> shares;
  double sum = 0;
  for (const Importance& importance : ParameterImportances(space, trials)) {
    EXPECT_GE(importance.share, 0);
    EXPECT_TRUE(std::isfinite(importance.deviation)) << importance.parameter;
    shares[importance.parameter] = importance.share;
    sum += importance.share;
  }
  EXPECT_LE(sum, 1 + 1e-9);
  EXPECT_EQ(shares.size(), space.size());
  return shares;
}

double X(const Params& params, const std::string& name) { return std::get<double>(params.at(name)); }

Space Plane() {
  return Space({{"x", FloatRange{0, 1}, {}}, {"y", FloatRange{0, 1}, {}}, {"z", FloatRange{0, 1}, {}}});
}

TEST(ImportanceTest, SumsShareTheirVariance) {
  // The variance of a x uniform on [0, 1] is a^2 / 12: shares of 1/5, 4/5 and 0.
  const Space space = Plane();
  const auto shares =
      Shares(space, Trials(space, 400, [](const Params& p) { return X(p, "x") + 2 * X(p, "y"); }));
  EXPECT_NEAR(shares.at("x"), 0.2, 0.04);
  EXPECT_NEAR(shares.at("y"), 0.8, 0.04);
  EXPECT_NEAR(shares.at("z"), 0, 0.01);
}

TEST(ImportanceTest, PureInteractionLeavesLittleToEach) {
  const Space space = Plane();
  const auto shares = Shares(
      space, Trials(space, 600, [](const Params& p) { return (X(p, "x") - 0.5) * (X(p, "y") - 0.5); }));
  EXPECT_LT(shares.at("x") + shares.at("y") + shares.at("z"), 0.1);
}

TEST(ImportanceTest, ConstantLossIsNobodys) {
  const Space space = Plane();
  for (const auto& [name, share] : Shares(space, Trials(space, 20, [](const Params&) { return 3; })))
    EXPECT_EQ(share, 0) << name;
}

TEST(ImportanceTest, LogarithmsChoicesAndWholeNumbersAreWeighedAsDrawn) {
  const Space space(
      {{"rate", FloatRange{1e-4, 1, true}, {}},
       {"layers", IntRange{1, 4}, {}},
       {"opt", ChoiceList{{std::string("sgd"), std::string("adam"), std::string("lion")}}, {}}});
  const std::map<std::string, double> of_opt = {{"sgd", 0}, {"adam", 0}, {"lion", 1.5}};
  const auto shares = Shares(space, Trials(space, 600, [&](const Params& p) {
                               return std::log10(X(p, "rate")) +
                                      static_cast<double>(std::get<int64_t>(p.at("layers"))) +
                                      of_opt.at(std::get<std::string>(p.at("opt")));
                             }));
  // 16/12 of a uniform range of 4, 15/12 of 1 to 4, 2/9 times 1.5^2 of one value in three.
  const double total = 16. / 12 + 15. / 12 + 0.5;
  EXPECT_NEAR(shares.at("rate"), 16. / 12 / total, 0.06);
  EXPECT_NEAR(shares.at("layers"), 15. / 12 / total, 0.06);
  EXPECT_NEAR(shares.at("opt"), 0.5 / total, 0.04);
}

TEST(ImportanceTest, InactiveParameterHasNoEffect) {
  const Space space({{"opt", ChoiceList{{std::string("sgd"), std::string("adam")}}, {}},
                     {"momentum", FloatRange{0, 1}, {{"opt", std::string("sgd")}}},
                     {"idle", FloatRange{0, 1}, {{"opt", std::string("adam")}}}});
  const auto shares = Shares(space, Trials(space, 600, [](const Params& p) {
                               return p.count("momentum") ? X(p, "momentum") : 0.5;
                             }));
  // Variance 1/24 in all; the mean over opt is (m + 0.5) / 2, of variance 1/48; neither value of opt is
  // better.
  EXPECT_NEAR(shares.at("momentum"), 0.5, 0.06);
  EXPECT_LT(shares.at("opt"), 0.03);
  EXPECT_LT(shares.at("idle"), 0.02);
}

TEST(ImportanceTest, ParameterThatTrialsLackCountsWhereItIs) {
  // A study defined by run, whose trainer asks for y in every other trial.
  const Space space = Plane();
  std::vector<Observation> trials =
      Trials(space, 600, [](const Params& p) { return X(p, "x") + (X(p, "z") < 0.5 ? 0 : X(p, "y")); });
  const size_t y = 1, z = 2;
  for (Observation& trial : trials)
    if (trial.draw[z] < 0.5) trial.draw[y] = std::nan("");
  // The mean over z: x + y / 2, and y weighs a quarter of x; z itself 1/4 times 1/4.
  const double total = 1. / 12 + (1. / 6 - 1. / 16);  // y in half of the box: mean square 1/6, mean 1/4
  const auto shares = Shares(space, trials);
  EXPECT_NEAR(shares.at("x"), 1. / 12 / total, 0.06);
  EXPECT_NEAR(shares.at("y"), 1. / 48 / total, 0.04);
  EXPECT_NEAR(shares.at("z"), 1. / 16 / total, 0.06);
}

TEST(ImportanceTest, IsTheSameEveryTimeAndForAnyScale) {
  const Space space = Plane();
  const auto loss = [](const Params& p) { return X(p, "x") + X(p, "y") * X(p, "z"); };
  const auto first = ParameterImportances(space, Trials(space, 60, loss));
  const auto again = ParameterImportances(space, Trials(space, 60, loss));
  const auto huge =
      ParameterImportances(space, Trials(space, 60, [&](const Params& p) { return (loss(p) - 1) * 8e307; }));
  EXPECT_EQ(first[0].parameter, "x");
  EXPECT_GT(first[0].deviation, 0);
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_LE(first[i].share, first[i == 0 ? 0 : i - 1].share);
    EXPECT_EQ(first[i].parameter, again[i].parameter);
    EXPECT_EQ(first[i].share, again[i].share);
    EXPECT_NEAR(first[i].share, huge[i].share, 0.01) << "but for splits as good as another";
  }
}

TEST(ImportanceTest, SaysHowManyTrialsItNeeds) {
  const Space space = Plane();
  std::vector<Observation> trials = Trials(space, 5, [](const Params& p) { return X(p, "x"); });
  EXPECT_EQ(Thrown([&] { ParameterImportances(space, trials, 1); }).code(), Code::kInvalidArgument);
  trials[2].losses.clear();
  EXPECT_EQ(ParameterImportances(space, trials).size(), 3u);
  trials[4].losses.clear();  // failed
  const Error error = Thrown([&] { ParameterImportances(space, trials); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.what(), HasSubstr("3 trials have a value: at least 4 are needed"));
}

TEST(ImportanceTest, OfAStudyTakesEachObjectiveAlone) {
  StudyOptions options;
  options.space = Plane();
  options.directions = {"minimize", "maximize"};
  options.sampler = "random";
  Study study(options);
  for (int i = 0; i < 60; ++i) {
    const TrialRecord trial = *study.Ask();
    if (i % 10 == 9)
      study.TellFailed(trial.number, "no luck");
    else
      study.Tell(trial.number, {X(trial.params, "x"), X(trial.params, "y")});
  }
  EXPECT_EQ(ParameterImportances(study, 0)[0].parameter, "x");
  EXPECT_EQ(ParameterImportances(study, 1)[0].parameter, "y");
  EXPECT_GT(ParameterImportances(study, 1)[0].share, 0.8);
  EXPECT_THAT(Thrown([&] { ParameterImportances(study, 2); }).what(),
              HasSubstr("objective 2: the study has 2"));
}

}  // namespace
}  // namespace strop::tune
