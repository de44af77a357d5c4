#include "strop/tune/study.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/test_folder.h"
#include "strop/store/database.h"

namespace strop::tune {
namespace {

using testing::HasSubstr;

Space Plane() { return Space({{"x", FloatRange{-5, 10}, {}}, {"n", IntRange{1, 100}, {}}}); }

double Bowl(const Params& params) {
  return std::pow(std::get<double>(params.at("x")) - 2, 2) +
         std::pow(static_cast<double>(std::get<int64_t>(params.at("n"))) / 10 - 3, 2);
}

class StudyTest : public testing::Test {
 protected:
  StudyOptions Options(const std::string& file, const std::string& sampler = "gp") const {
    return {(folder_ / file).string(), "s", Plane(), {"minimize"}, sampler, 7, true, false};
  }
  static void Run(Study& study, int trials) {
    for (int i = 0; i < trials; ++i) {
      const TrialRecord trial = *study.Ask();
      study.Tell(trial.number, Bowl(trial.params));
    }
  }

  const TestFolder test_folder_;
  const std::filesystem::path folder_ = test_folder_.path();
};

TEST_F(StudyTest, FiftyTrialsEqualTwentyFiveRestartTwentyFive) {
  Study whole(Options("whole.db"));
  Run(whole, 50);
  {
    Study first(Options("halves.db"));
    Run(first, 25);
  }
  Study second(Options("halves.db"));
  Run(second, 25);
  const auto a = whole.Trials(), b = second.Trials();
  ASSERT_EQ(a.size(), 50u);
  ASSERT_EQ(b.size(), 50u);
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(a[i].params, b[i].params) << i;
  EXPECT_LT(second.Best()->values[0], 0.05);
}

TEST_F(StudyTest, TellsOnceAndKnowsItsTrials) {
  Study study(Options("s.db", "random"));
  const TrialRecord trial = *study.Ask();
  EXPECT_EQ(trial.state, TrialState::kRunning);
  study.Report(trial.number, 2, 0.5);
  study.Report(trial.number, 1, 0.75);
  study.Report(trial.number, 2, 0.25);
  study.Tell(trial.number, 1.5);
  try {
    study.Tell(trial.number, 2);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kFailedPrecondition);
    EXPECT_STREQ(e.what(), "trial 0 of study \"s\" is already done");
  }
  EXPECT_THROW(study.Tell(9, 2), Error);
  EXPECT_THROW(study.Report(0, 3, 1), Error);
  const auto reports = study.Reports(0);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].value, 0.75);
  EXPECT_EQ(reports[1].value, 0.25);
  EXPECT_EQ(study.Trials()[0].values[0], 1.5);
}

TEST_F(StudyTest, BestIgnoresFailedAndPruned) {
  for (const char* direction : {"minimize", "maximize"}) {
    StudyOptions options = Options("s.db", "random");
    options.name = direction;
    options.directions = {direction};
    Study study(options);
    for (double value : {3.0, 1.0, 2.0, 1.0, std::nan(""), double{INFINITY}})
      study.Tell(study.Ask()->number, value);
    study.TellFailed(study.Ask()->number, "crashed");
    study.TellPruned(study.Ask()->number, 0.5);
    EXPECT_EQ(study.Best()->number, study.minimize() ? 1 : 0);
    const auto trials = study.Trials();
    EXPECT_EQ(trials[4].state, TrialState::kFailed);
    EXPECT_EQ(trials[4].error, "its value is nan");
    EXPECT_EQ(trials[6].error, "crashed");
    EXPECT_EQ(trials[7].state, TrialState::kPruned);
  }
}

TEST_F(StudyTest, MaximisesByTheSameRule) {
  StudyOptions options = Options("low.db");
  Study low(options);
  options.storage = (folder_ / "high.db").string();
  options.directions = {"maximize"};
  Study high(options);
  for (int i = 0; i < 14; ++i) {
    const TrialRecord a = *low.Ask(), b = *high.Ask();
    ASSERT_EQ(a.params, b.params) << i;
    low.Tell(a.number, Bowl(a.params));
    high.Tell(b.number, -Bowl(b.params));
  }
}

TEST_F(StudyTest, SeveralObjectivesHaveAFrontOfFeasibleTrials) {
  StudyOptions options = Options("s.db", "random");
  options.directions = {"minimize", "maximize"};
  {
    Study study(options);
    const double told[][3] = {{1, 1, 0}, {2, 2, 0}, {2, 1, 0}, {0, 9, 1}, {1, 1, -1}};
    for (const auto& [low, high, violation] : told) {
      const int64_t trial = study.Ask()->number;
      study.SetConstraint(trial, "size", violation);
      study.Tell(trial, {low, high});
    }
    study.Tell(study.Ask()->number, {0, NAN});
    EXPECT_THROW(study.Tell(study.Ask()->number, 1.0), Error);
    EXPECT_THROW(study.Best(), Error);
  }
  Study study(options);
  std::vector<int64_t> front;
  for (const TrialRecord& trial : study.ParetoFront()) front.push_back(trial.number);
  EXPECT_THAT(front, testing::ElementsAre(0, 1, 4));
  const auto trials = study.Trials();
  EXPECT_THAT(trials[3].values, testing::ElementsAre(0, 9));
  EXPECT_THAT(trials[3].violations, testing::ElementsAre(testing::Pair("size", 1)));
  EXPECT_FALSE(trials[3].feasible());
  EXPECT_EQ(trials[5].state, TrialState::kFailed);
  EXPECT_EQ(trials[0].sampler, "random");
}

TEST_F(StudyTest, ReopeningChecksWhatItWasMadeWith) {
  { Study study(Options("s.db", "random")); }
  auto complaint = [&](StudyOptions options) -> std::string {
    try {
      Study study(std::move(options));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  StudyOptions options = Options("s.db", "random");
  options.load_if_exists = false;
  EXPECT_THAT(complaint(options), HasSubstr("already in"));
  options = Options("s.db", "random");
  options.directions = {"maximize"};
  EXPECT_THAT(complaint(options), HasSubstr("made to minimize, not to maximize"));
  options.directions = {"up"};
  EXPECT_THAT(complaint(options), HasSubstr("expected minimize or maximize"));
  options = Options("s.db", "random");
  options.space = Space({{"x", FloatRange{-5, 11}, {}}, {"n", IntRange{1, 100}, {}}});
  EXPECT_THAT(complaint(options), HasSubstr("\"x\" differs"));
  options = Options("s.db", "random");
  options.must_exist = true;
  options.directions = {"maximize"};
  EXPECT_EQ(complaint(options), "");
  options.name = "t";
  EXPECT_THAT(complaint(options), HasSubstr("\"t\" is not in"));
  options = Options("s.db", "random");
  options.seed = 99;
  Study study(options);
  EXPECT_EQ(study.seed(), 7u);
}

// Asks in a child process, which then dies as by kill -9.
void AskAndDie(const StudyOptions& options, int trials) {
  const pid_t child = fork();
  if (child == 0) {
    Study study(options);
    for (int i = 0; i < trials; ++i) study.Ask();
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST_F(StudyTest, TrialsOfADeadProcessAreRunAgainAndChangeNothing) {
  const StudyOptions options = Options("killed.db");
  {
    Study study(options);
    Run(study, 10);
  }
  AskAndDie(options, 1);
  Study study(options);
  const TrialRecord again = *study.Ask();
  EXPECT_EQ(again.number, 10);
  EXPECT_EQ(again.attempts, 2);
  study.Tell(again.number, Bowl(again.params));
  Run(study, 5);

  Study whole(Options("whole.db"));
  Run(whole, 16);
  const auto a = whole.Trials(), b = study.Trials();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].params, b[i].params) << i;
}

TEST_F(StudyTest, ATrialThatKillsItsProcessFailsInTheEnd) {
  const StudyOptions options = Options("s.db", "random");
  for (int64_t attempt = 0; attempt < Study::kMaxAttempts; ++attempt) AskAndDie(options, 1);
  Study study(options);
  EXPECT_EQ(study.Ask()->number, 1);
  const auto trials = study.Trials();
  EXPECT_EQ(trials[0].state, TrialState::kFailed);
  EXPECT_THAT(trials[0].error, HasSubstr("3 attempts"));
}

TEST_F(StudyTest, TrialsOfALiveProcessAreLeftAlone) {
  Study one(Options("s.db", "random")), other(Options("s.db", "random"));
  EXPECT_EQ(one.Ask()->number, 0);
  EXPECT_EQ(other.Ask()->number, 1);
  one.Release(0);
  EXPECT_EQ(other.Ask()->number, 0);
  other.Tell(0, 1);
  EXPECT_EQ(one.Best()->number, 0);
}

TEST_F(StudyTest, LimitCountsRunningAndFinished) {
  Study study(Options("s.db", "random"));
  Run(study, 2);
  EXPECT_TRUE(study.Ask(3));
  EXPECT_FALSE(study.Ask(3));
  study.Release(2);
  EXPECT_EQ(study.Ask(3)->number, 2);
}

TEST_F(StudyTest, ThreadsAndProcessesShareADiscreteSpaceWithoutRepeats) {
  StudyOptions options = Options("s.db", "random");
  options.space = Space({{"n", IntRange{1, 40}, {}}});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      Study study(options);
      for (int i = 0; i < 10; ++i) {
        const TrialRecord trial = *study.Ask();
        study.Tell(trial.number, static_cast<double>(std::get<int64_t>(trial.params.at("n"))));
      }
    });
  for (std::thread& thread : threads) thread.join();
  Study study(options);
  std::set<int64_t> seen;
  for (const TrialRecord& trial : study.Trials()) seen.insert(std::get<int64_t>(trial.params.at("n")));
  EXPECT_EQ(seen.size(), 40u);
  EXPECT_THROW(study.Ask(), Exhausted);
  EXPECT_THROW(study.Ask(), Exhausted);
}

TEST_F(StudyTest, SpaceDefinedByRunIsLearntAndResumes) {
  StudyOptions options = Options("s.db");
  options.space = Space();
  const Parameter x{"x", FloatRange{-5, 10}, {}}, n{"n", IntRange{1, 100}, {}};
  auto run = [&](Study& study, int trials) {
    for (int i = 0; i < trials; ++i) {
      const int64_t number = study.Ask()->number;
      Params params;
      params["x"] = study.Suggest(number, x);
      EXPECT_EQ(study.Suggest(number, x), params["x"]);
      params["n"] = study.Suggest(number, n);
      study.Tell(number, Bowl(params));
    }
  };
  {
    Study study(options);
    run(study, 20);
    EXPECT_EQ(study.Trials()[19].params.size(), 2u);
  }
  Study study(options);
  run(study, 20);
  options.storage = (folder_ / "whole.db").string();
  Study whole(options);
  run(whole, 40);
  for (size_t i = 0; i < 40; ++i) EXPECT_EQ(study.Trials()[i].params, whole.Trials()[i].params) << i;
  EXPECT_LT(study.Best()->values[0], 0.2);
  EXPECT_THROW(study.Suggest(study.Ask()->number, {"x", FloatRange{0, 1}, {}}), Error);
}

// Eight threads with a study each, whose trials end in any order: some fail, some break a constraint.
void RunInParallel(const StudyOptions& options,
                   const std::function<Params(Study&, const TrialRecord&)>& params) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      Study study(options);
      while (const auto trial = study.Ask(60)) {
        const double value = Bowl(params(study, *trial));
        if (trial->number % 3 == 0) study.SetConstraint(trial->number, "memory", value - 20);
        if (trial->number % 7 == 5)
          study.TellFailed(trial->number, "no luck");
        else
          study.Tell(trial->number, value);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(StudyTest, AParallelRunIsReplayedFromItsEvents) {
  for (const std::string sampler : {"gp", "tpe", "cmaes", "auto"}) {
    StudyOptions options = Options(sampler + ".db", sampler);
    RunInParallel(options, [](Study&, const TrialRecord& trial) { return trial.params; });
    EXPECT_THAT(Study(options).Replay(), testing::IsEmpty()) << sampler;
  }
  StudyOptions other = Options("gp.db", "random");
  EXPECT_GT(Study(other).Replay().size(), 40u);
}

TEST_F(StudyTest, AParallelRunThatDefinesItsSpaceIsReplayed) {
  StudyOptions options = Options("s.db");
  options.space = Space();
  const Parameter x{"x", FloatRange{-5, 10}, {}}, n{"n", IntRange{1, 100}, {}};
  RunInParallel(options, [&](Study& study, const TrialRecord& trial) {
    return Params{{"x", study.Suggest(trial.number, x)}, {"n", study.Suggest(trial.number, n)}};
  });
  EXPECT_THAT(Study(options).Replay(), testing::IsEmpty());
}

// The second parameter is asked for under one value of the first alone.
TEST_F(StudyTest, ASpaceDefinedByRunWithBranchesIsSearchedToItsEnd) {
  const Parameter kind{"kind", ChoiceList{{std::string("line"), std::string("tree")}}, {}},
      depth{"depth", IntRange{1, 8}, {}};
  for (const std::string sampler : {"gp", "grid", "random"}) {
    StudyOptions options = Options(sampler + ".db", sampler);
    options.space = Space();
    Study study(options);
    std::set<int64_t> depths;
    const auto run = [&] {
      for (int i = 0; i < 100; ++i) {
        const int64_t trial = study.Ask()->number;
        if (std::get<std::string>(study.Suggest(trial, kind)) == "line") {
          study.Tell(trial, 3);
          continue;
        }
        const int64_t value = std::get<int64_t>(study.Suggest(trial, depth));
        depths.insert(value);
        study.Tell(trial, static_cast<double>(value));
      }
    };
    EXPECT_THROW(run(), Exhausted) << sampler;
    EXPECT_EQ(depths.size(), 8u) << sampler;
  }
}

TEST_F(StudyTest, TrialsThatEndEarlyDoNotUseUpASpaceDefinedByRun) {
  StudyOptions options = Options("s.db", "random");
  options.space = Space();
  Study study(options);
  for (int i = 0; i < 6; ++i) {
    const int64_t trial = study.Ask()->number;
    study.Suggest(trial, {"a", ChoiceList{{int64_t{0}, int64_t{1}}}, {}});
    study.TellPruned(trial);
  }
  EXPECT_EQ(study.Trials().size(), 6u);
}

TEST_F(StudyTest, TheDeathThatFailsATrialIsKeptWhenTheSpaceIsUsedUp) {
  StudyOptions options = Options("s.db", "random");
  options.space = Space({{"k", ChoiceList{{int64_t{1}, int64_t{2}}}, {}}});
  Study study(options);
  study.Tell(study.Ask()->number, 1);
  for (int64_t i = 0; i < Study::kMaxAttempts; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      Study(options).Ask();
      _exit(0);
    }
    waitpid(child, nullptr, 0);
  }
  EXPECT_THROW(study.Ask(), Exhausted);
  EXPECT_EQ(study.Trials()[1].state, TrialState::kFailed);
}

TEST_F(StudyTest, ASpaceThatIsGivenMustBeTheStudys) {
  StudyOptions by_run = Options("run.db");
  by_run.space = Space();
  Study(by_run).Ask();
  by_run.space = Plane();
  EXPECT_THROW(Study{by_run}, Error);
  Study study(Options("space.db"));
  const int64_t trial = study.Ask()->number;
  study.Suggest(trial, {"x", FloatRange{-5, 10}, {}});
  EXPECT_THROW(study.Suggest(trial, {"x", FloatRange{5, 6}, {}}), Error);
  StudyOptions constrained = Options("space.db");
  constrained.space = Space(Plane().parameters(), {"x <= n"});
  try {
    Study again(constrained);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the constraints differ"));
  }
}

TEST_F(StudyTest, TrialsThatWereRunAgainAreReplayed) {
  Study study(Options("s.db"));
  for (int i = 0; i < 30; ++i) {
    const TrialRecord trial = *study.Ask();
    if (trial.attempts == 1 && trial.number % 4 == 0)
      study.Retry(trial.number, "once more");
    else
      study.Tell(trial.number, Bowl(trial.params));
  }
  EXPECT_THAT(study.Replay(), testing::IsEmpty());
}

// Keeps the violations of what it was asked.
class Witness : public Sampler {
 public:
  Suggestion Ask(const Question& question) const override {
    seen.clear();
    for (const Observation& trial : question.finished) seen.push_back(trial.violations);
    return AskRandom(question);
  }
  mutable std::vector<std::vector<double>> seen;
};

TEST_F(StudyTest, SamplersSeeTheConstraintsOfAllTrialsInOneOrder) {
  StudyOptions options = Options("s.db");
  const auto witness = std::make_shared<Witness>();
  options.own_sampler = witness;
  const std::vector<std::map<std::string, double>> told = {
      {{"memory", 5}}, {}, {{"latency", 2}}, {{"size", -1}, {"latency", 3}, {"memory", 4}}};
  {
    Study study(options);
    for (const auto& violations : told) {
      const int64_t trial = study.Ask()->number;
      for (const auto& [name, violation] : violations) study.SetConstraint(trial, name, violation);
      study.Tell(trial, 1);
    }
    study.Ask();
  }
  using testing::ElementsAre;
  const auto expected =
      ElementsAre(ElementsAre(0, 5, 0), ElementsAre(), ElementsAre(2, 0, 0), ElementsAre(3, 4, -1));
  EXPECT_THAT(witness->seen, expected);
  Study(options).Ask();
  EXPECT_THAT(witness->seen, expected);
}

TEST_F(StudyTest, AStoreOfAnEarlyStropIsTakenOn) {
  const StudyOptions options = Options("s.db", "random");
  {
    Study study(options);
    study.Tell(study.Ask()->number, 1);
  }
  {
    store::Database database = store::Database::Open(options.storage);
    database.Run("DELETE FROM migrations WHERE room = 'tune' AND step > 2");
    database.Run("ALTER TABLE study ADD COLUMN revision INTEGER NOT NULL DEFAULT 0");
    database.Run("ALTER TABLE study DROP COLUMN metric");
    database.Run("UPDATE trials SET violations = '[1.5]'");
    database.Run("DELETE FROM events WHERE event = 'ask'");
  }
  Study study(options);
  EXPECT_THROW(study.Replay(), Error);
  EXPECT_FALSE(study.Trials()[0].feasible());
  StudyOptions other = options;
  other.name = "other";
  EXPECT_EQ(Study(other).Ask()->number, 0);
}

TEST_F(StudyTest, WhateverATrainerPrintedIsKeptAsAnError) {
  Study study(Options("s.db", "random"));
  study.TellFailed(study.Ask()->number, std::string("100%|\x96\x88| \0 \xe2\x96\x88 end\xe2", 19));
  EXPECT_EQ(study.Trials()[0].state, TrialState::kFailed);
  EXPECT_THAT(study.Trials()[0].error, HasSubstr("\xe2\x96\x88 end"));
}

}  // namespace
}  // namespace strop::tune
