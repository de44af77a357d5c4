#include "strop/tune/executor.h"

#include <signal.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/test_folder.h"
#include "strop/tune/trial.h"

namespace strop::tune {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

class ExecutorTest : public testing::Test {
 protected:
  ExecutorTest() {
    options_.runs = folder_.path() / "runs";
    options_.directory = folder_.path();
    options_.silence = 20s;
  }
  StudyOptions StudyAt(const std::string& name) const {
    return {(folder_.path() / "s.db").string(),
            name,
            Space({{"x", FloatRange{0, 1}, {}}}),
            {"minimize"},
            "random",
            1,
            true,
            false};
  }
  // A trainer in the shell; {x} is its parameter.
  TrainerResult Shell(const std::string& script) {
    options_.command = {"sh", "-c", script};
    TrialRecord trial;
    trial.params["x"] = 0.5;
    return RunTrainer(options_, Space({{"x", FloatRange{0, 1}, {}}}), StartOf(options_, 1, trial),
                      [](int64_t, double, const Metrics&) { return true; });
  }

  TestFolder folder_;
  ExecutorOptions options_;
};

TEST_F(ExecutorTest, PrintedNumberCounts) {
  const TrainerResult result = Shell("echo loss 3; echo {x}; echo 17 warnings >&2");
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.outcome, TrainerResult::Outcome::kDone);
  EXPECT_EQ(result.value, 0.5);
}

TEST_F(ExecutorTest, CrashNamesStatusAndLastLines) {
  EXPECT_EQ(Shell("echo one >&2; echo two >&2; exit 3").error, "trainer ended with status 3: one | two");
  EXPECT_EQ(Shell("echo 1; kill -9 $$").error, "trainer was killed by signal 9: 1");
  EXPECT_THAT(Shell("echo nothing").error, HasSubstr("no number: expected metric \"value\""));
  EXPECT_EQ(Shell("echo value=nan").error, "trainer reported value = nan");
}

TEST_F(ExecutorTest, SilentTrainerIsStopped) {
  options_.silence = 300ms;
  const auto start = std::chrono::steady_clock::now();
  const TrainerResult result = Shell("echo 7; sleep 60");
  EXPECT_EQ(result.error, "trainer was silent for 0.3 s and was stopped: 7");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

TEST_F(ExecutorTest, AFailedTrainerIsTriedAgainUnderItsNumber) {
  Study study(StudyAt("retries"));
  options_.retries = 1;
  options_.command = {"sh", "-c",
                      "if [ -e {out_dir}/again ]; then echo 5; else : > {out_dir}/again; exit 1; fi"};
  int told = 0;
  RunStudy(study, options_, 2, [&](const TrialRecord&) { ++told; });
  EXPECT_EQ(told, 2);
  for (const TrialRecord& trial : study.Trials()) {
    EXPECT_EQ(trial.state, TrialState::kDone);
    EXPECT_EQ(trial.attempts, 2);
  }
  options_.command = {"sh", "-c", "exit 1"};
  RunStudy(study, options_, 3, [](const TrialRecord&) {});
  EXPECT_EQ(study.Trials()[2].state, TrialState::kFailed);
  EXPECT_EQ(study.Trials()[2].attempts, 2);
}

TEST_F(ExecutorTest, TrainersRunInTheirSlots) {
  Study study(StudyAt("slots"));
  options_.cpus = 1;
  options_.gpus = 1;
  setenv("CUDA_VISIBLE_DEVICES", "5,6", 1);
  options_.command = {"sh", "-c",
                      "echo $(env -u OMP_NUM_THREADS nproc)$CUDA_VISIBLE_DEVICES$OMP_NUM_THREADS"};
  RunStudy(study, options_, 1, [](const TrialRecord&) {});
  options_.gpus = 3;
  EXPECT_THROW(RunStudy(study, options_, 2, [](const TrialRecord&) {}), Error);
  unsetenv("CUDA_VISIBLE_DEVICES");
  EXPECT_EQ(study.Trials()[0].values, std::vector<double>{151});
}

TEST_F(ExecutorTest, OutputIsASignOfLifeButTheTimeoutHolds) {
  options_.silence = 400ms;
  EXPECT_EQ(Shell("for i in 1 2 3 4 5 6 7 8; do sleep 0.1; echo $i; done").value, 8);
  options_.timeout = 500ms;
  EXPECT_THAT(Shell("while true; do sleep 0.1; echo 1; done").error, HasSubstr("longer than 0.5 s"));
}

TEST_F(ExecutorTest, MissingProgramAndNoCommandThrow) {
  options_.command = {"/no/such/trainer"};
  TrialRecord trial;
  const auto go = [&] {
    RunTrainer(options_, Space(), StartOf(options_, 1, trial),
               [](int64_t, double, const Metrics&) { return true; });
  };
  try {
    go();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kNotFound);
    EXPECT_THAT(e.what(), HasSubstr("/no/such/trainer"));
  }
  options_.command.clear();
  EXPECT_THROW(go(), Error);
}

TEST_F(ExecutorTest, ShareOfCpusGoesToTheTrainer) {
  unsetenv("OMP_NUM_THREADS");
  options_.jobs = 1000;
  EXPECT_EQ(Shell("echo $OMP_NUM_THREADS").value, 1);
}

TEST_F(ExecutorTest, StudyGoesOnAfterFailures) {
  Study study(StudyAt("f"));
  options_.command = {"sh", "-c", "case {x} in 0.[0-4]*) exit 1;; esac; echo value={x}"};
  options_.jobs = 3;
  std::atomic<int> told = 0;
  RunStudy(study, options_, 12, [&](const TrialRecord&) { ++told; });
  EXPECT_EQ(told, 12);
  int failed = 0;
  for (const TrialRecord& trial : study.Trials()) {
    const double x = std::get<double>(trial.params.at("x"));
    EXPECT_EQ(trial.state, x < 0.5 ? TrialState::kFailed : TrialState::kDone);
    failed += x < 0.5;
  }
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 12);
  RunStudy(study, options_, 12, [&](const TrialRecord&) { ADD_FAILURE(); });
}

TEST_F(ExecutorTest, TrainersRunBesideEachOther) {
  Study study(StudyAt("p"));
  // Each waits for the other's file: one at a time would never end.
  options_.command = {
      "sh", "-c",
      "touch ../mark-$(basename {out_dir}); n=0; while [ $(ls .. | grep -c mark-) -lt 2 ]; do "
      "sleep 0.05; n=$((n+1)); [ $n -gt 100 ] && exit 1; done; echo 1"};
  options_.directory = folder_.path() / "in";
  std::filesystem::create_directories(options_.directory);
  options_.jobs = 2;
  RunStudy(study, options_, 2, [](const TrialRecord& trial) { EXPECT_EQ(trial.error, ""); });
}

TEST_F(ExecutorTest, InterruptionGivesTrialsBack) {
  Study study(StudyAt("i"));
  options_.command = {"sh", "-c", "[ -e go ] || sleep 60; echo {x}"};
  std::ofstream(folder_.path() / "go").flush();
  std::atomic<int> told = 0;
  options_.interrupted = [&] { return told >= 3; };
  options_.jobs = 2;
  RunStudy(study, options_, 10, [&](const TrialRecord&) {
    if (++told == 1) std::filesystem::remove(folder_.path() / "go");
    if (told == 1)
      std::thread([&] {
        std::this_thread::sleep_for(300ms);
        told = 3;
      }).detach();
  });
  int running = 0;
  for (const TrialRecord& trial : study.Trials()) running += trial.state == TrialState::kRunning;
  EXPECT_GE(running, 1);
  EXPECT_EQ(study.Ask()->attempts, 1);
}

// The trainer's end in this process, so that the protocol is tested without another program.
TEST_F(ExecutorTest, ProtocolEndToEnd) {
  LineListener listener(folder_.path() / "socket");
  StartMessage sent;
  sent.trial = 3;
  sent.params = ParseParams(R"({"lr":0.1,"opt":"adam","deep":true,"n":4})");
  sent.seed = 99;
  sent.metric = "accuracy";
  sent.train = "t.parquet";
  sent.out_dir = "/tmp/out";
  std::vector<std::string> heard;
  std::thread server([&] {
    LineSocket peer = *listener.Accept(10s);
    peer.WriteLine(sent.ToText());
    for (int i = 0; i < 2; ++i) {
      heard.push_back(*peer.ReadLine(10s));
      peer.WriteLine(AnswerMessage{i == 1, i == 1 ? "pruned" : ""}.ToText());
    }
    heard.push_back(*peer.ReadLine(10s));
  });
  setenv(kSocketVariable, listener.path().c_str(), 1);
  Trial trial = *Trial::FromEnvironment();
  unsetenv(kSocketVariable);
  EXPECT_FALSE(Trial::FromEnvironment());
  EXPECT_EQ(trial.start().params, sent.params);
  EXPECT_EQ(trial.start().seed, 99u);
  EXPECT_EQ(trial.start().train, "t.parquet");
  trial.Report(1, {{"accuracy", 0.5}}, "c1");
  EXPECT_FALSE(trial.should_stop());
  trial.Report(2, {{"accuracy", std::nan("")}});
  EXPECT_TRUE(trial.should_stop());
  trial.Done({{"accuracy", 0.75}}, "model.onnx");
  server.join();
  EXPECT_EQ(heard[0], R"({"checkpoint":"c1","metrics":{"accuracy":0.5},"step":1,"type":"report"})");
  EXPECT_EQ(heard[1], R"({"metrics":{"accuracy":null},"step":2,"type":"report"})");
  EXPECT_EQ(heard[2], R"({"metrics":{"accuracy":0.75},"model":"model.onnx","type":"done"})");
}

TEST(ProtocolTest, WrongMessagesAreNamed) {
  auto complaint = [](const char* text) -> std::string {
    try {
      TrainerMessage::FromText(text);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::kInvalidArgument);
      return e.what();
    }
    return "";
  };
  EXPECT_THAT(complaint("hello"), HasSubstr("\"hello\" is not a message"));
  EXPECT_THAT(complaint(R"({"type":"stop"})"), HasSubstr("\"stop\": expected report or done"));
  EXPECT_THAT(complaint(R"({"type":"report","metrics":{}})"), HasSubstr("step"));
  EXPECT_THAT(complaint(R"({"type":"report","step":1,"metrics":{"a":"x"}})"), HasSubstr("must be number"));
  EXPECT_EQ(complaint(R"({"type":"report","step":1,"metrics":{"a":1},"later":[]})"), "");
  EXPECT_THROW(StartMessage::FromText(R"({"type":"start","version":2})"), Error);
}

}  // namespace
}  // namespace strop::tune
