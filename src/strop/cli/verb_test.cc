#include "strop/cli/verb.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/progress.h"

namespace strop::cli {
namespace {

using testing::HasSubstr;

struct Outcome {
  int status = -1;  // exit code, or minus the signal
  std::string out, err;
};

std::string ReadAll(int fd) {
  std::string text;
  char block[4096];
  for (ssize_t got; (got = read(fd, block, sizeof block)) > 0;) text.append(block, static_cast<size_t>(got));
  close(fd);
  return text;
}

// Runs a verb in a process of its own, with stderr on a terminal if asked. A terminal turns \n into \r\n.
Outcome RunTry(std::vector<std::string> arguments, const std::function<int(Console&)>& run,
               bool terminal = false) {
  arguments.insert(arguments.begin(), "strop-try");
  int out[2], err[2] = {-1, -1};
  EXPECT_EQ(pipe(out), 0);
  EXPECT_EQ(terminal ? openpty(&err[0], &err[1], nullptr, nullptr, nullptr) : pipe(err), 0);
  std::fflush(stdout);  // or the child would print it again
  const pid_t child = fork();
  if (child == 0) {
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    for (const int fd : {out[0], out[1], err[0], err[1]}) close(fd);
    setenv("TERM", "xterm", 1);
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    int64_t number = 0;
    const int status = RunVerb(
        static_cast<int>(argv.size()), argv.data(), {"try", "Tries", "strop try --number 3\nstrop try"},
        [&](CLI::App& app) { app.add_option("--number", number, "A number"); }, run);
    std::exit(status);
  }
  close(out[1]);
  close(err[1]);
  Outcome outcome;
  outcome.out = ReadAll(out[0]);
  outcome.err = ReadAll(err[0]);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return outcome;
}

TEST(VerbTest, SaysAndAnswers) {
  const auto body = [](Console& console) {
    console.Say("working");
    console.Result({{"value", 3}}, "three");
    return 0;
  };
  const Outcome plain = RunTry({}, body);
  EXPECT_EQ(plain.status, 0);
  EXPECT_EQ(plain.out, "working\nthree\n");
  EXPECT_EQ(plain.err, "");
  EXPECT_EQ(RunTry({"--json"}, body).out, "{\"value\":3}\n");
  EXPECT_EQ(RunTry({"-q"}, body).out, "three\n");
}

TEST(VerbTest, HelpEndsInExamples) {
  const Outcome outcome = RunTry({"--help"}, [](Console&) { return 9; });
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("Tries\nUsage: strop try [OPTIONS]"));
  EXPECT_THAT(outcome.out, HasSubstr("Example:\n  strop try --number 3\n  strop try\n"));
  EXPECT_EQ(RunTry({"--version"}, [](Console&) { return 9; }).out, "strop " STROP_VERSION "\n");
}

TEST(VerbTest, WrongUsageIsOneLineAndTwo) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--nubmer"}, {"--number", "x"}, {"stray"}, {"--log", "loud"}}) {
    const Outcome outcome = RunTry(arguments, [](Console&) { return 0; });
    EXPECT_EQ(outcome.status, 2) << arguments[0];
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("strop try: "));
    EXPECT_THAT(outcome.err, HasSubstr("(see strop try --help)"));
  }
  const Outcome thrown =
      RunTry({}, [](Console&) -> int { throw CLI::ValidationError("--number", "must be even"); });
  EXPECT_EQ(thrown.status, 2);
}

TEST(VerbTest, FailureIsOneLineAndOne) {
  const Outcome outcome = RunTry(
      {"--json"}, [](Console&) -> int { throw Error(Code::kNotFound, "no model x.onnx:\n name another"); });
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "strop try: no model x.onnx:  name another\n");
  const Outcome bug = RunTry({}, [](Console&) -> int { throw std::logic_error("oops"); });
  EXPECT_EQ(bug.status, 1);
  EXPECT_EQ(bug.err, "strop try: internal error: oops\n");
}

TEST(VerbTest, CtrlCAsksAndTheSecondKills) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const Outcome kept = RunTry({}, [&](Console& console) {
      if (Interrupted()) return 4;
      std::raise(signal);
      if (!Interrupted()) return 5;
      console.Say("kept");
      ThrowIfInterrupted();
      return 6;
    });
    EXPECT_EQ(kept.status, 130);
    EXPECT_EQ(kept.out, "kept\n");
    EXPECT_EQ(kept.err, "strop try: interrupted; what was done is kept\n");
    const Outcome killed = RunTry({}, [&](Console&) {
      std::raise(signal);
      std::raise(signal);
      return 0;
    });
    EXPECT_EQ(killed.status, -signal);
  }
  const Outcome consequence = RunTry({}, [](Console&) -> int {
    std::raise(SIGINT);
    throw Error(Code::kIo, "cannot read x: Interrupted system call");
  });
  EXPECT_EQ(consequence.status, 130);
}

TEST(VerbTest, ProgressIsPlainAndSeldomOffATerminal) {
  const auto body = [](Console& console) {
    for (int i = 1; i <= 1000; ++i) console.Progress("rows", i, 1000, "fast");
    return 0;
  };
  EXPECT_EQ(RunTry({}, body).err, "rows: 1/1000  fast\n");
  EXPECT_EQ(RunTry({"--quiet"}, body).err, "");
}

TEST(VerbTest, ProgressIsABarOnATerminal) {
  const auto body = [](Console& console) {
    console.Progress("rows", 250, 1000);
    console.Progress("rows", 1000, 1000);
    console.Progress("unknown", 7, 0);
    throw Error(Code::kIo, "disk full");
    return 0;
  };
  const Outcome outcome = RunTry({}, body, true);
  EXPECT_THAT(outcome.err, HasSubstr("\r\x1b[Krows  [######..................]  25%  250/1000"));
  EXPECT_THAT(outcome.err, HasSubstr("100%  1000/1000"));
  EXPECT_THAT(outcome.err, HasSubstr("unknown  7\r\nstrop try: disk full\r\n"));
  EXPECT_EQ(RunTry({"-q"}, body, true).err, "strop try: disk full\r\n");
}

TEST(VerbTest, ProgressIsLinesForTheProcessThatAsked) {
  const auto body = [](Console& console) {
    setenv(kProgressVariable, "json", 1);
    for (int i = 1; i <= 1000; ++i) console.Progress("rows", i, 1000, "fast");
    console.Say("done");
    return 0;
  };
  const Outcome outcome = RunTry({}, body, true);
  EXPECT_EQ(outcome.err,
            "{\"done\":1,\"note\":\"fast\",\"progress\":\"rows\",\"total\":1000}\r\n"
            "{\"done\":1000,\"note\":\"fast\",\"progress\":\"rows\",\"total\":1000}\r\n");
  EXPECT_EQ(RunTry({"--quiet"}, body).err, "");
}

TEST(VerbTest, AFullDiskUnderStdoutIsAFailure) {
  const Outcome outcome = RunTry({}, [](Console& console) {
    if (std::freopen("/dev/full", "w", stdout) == nullptr) return 5;
    console.Result({{"value", 3}}, "three");
    return 0;
  });
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("cannot write to stdout"));
}

}  // namespace
}  // namespace strop::cli
