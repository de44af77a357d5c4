#include "strop/base/process.h"

#include <csignal>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/test_folder.h"

namespace strop {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

ProcessOptions Shell(const std::string& script) {
  ProcessOptions options;
  options.command = {"sh", "-c", script};
  return options;
}

// Whether a process that is not our child runs; a zombie whose parent is slow to reap does not.
bool Runs(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text)) return false;
  return text[text.rfind(')') + 2] != 'Z';
}

bool Ends(pid_t pid) {
  for (int i = 0; i < 500 && Runs(pid); ++i) std::this_thread::sleep_for(10ms);
  return !Runs(pid);
}

TEST(ProcessTest, AnswersTheExitStatus) {
  EXPECT_EQ(Process(Shell("exit 0")).Wait(), 0);
  EXPECT_EQ(Process(Shell("exit 7")).Wait(), 7);
  EXPECT_EQ(Process(Shell("kill -9 $$")).Wait(), 128 + SIGKILL);
  Process process(Shell("exit 3"));
  EXPECT_EQ(process.Wait(), 3);
  EXPECT_EQ(process.Poll(), 3);
  EXPECT_EQ(process.Stop(), 3);
}

TEST(ProcessTest, WaitTimesOut) {
  Process process(Shell("sleep 100"));
  EXPECT_EQ(process.Poll(), std::nullopt);
  EXPECT_EQ(process.Wait(30ms), std::nullopt);
  EXPECT_EQ(process.Stop(), 128 + SIGTERM);
}

TEST(ProcessTest, CapturesMoreOutputThanAPipeHolds) {
  ProcessOptions options = Shell("head -c 300000 /dev/zero | tr '\\0' x");
  options.capture_output = true;
  Process process(options);
  EXPECT_EQ(process.Output(), std::string(300'000, 'x'));
  EXPECT_EQ(process.Wait(), 0);
}

TEST(ProcessTest, AppendsOutputToAFileAndSplitsStdoutOff) {
  const TestFolder folder;
  ProcessOptions options = Shell("echo out; echo err >&2");
  options.output = folder.path() / "log";
  Process(options).Wait();
  EXPECT_EQ(ReadFile(options.output), "out\nerr\n");
  options.capture_output = true;
  Process captured(options);
  EXPECT_EQ(captured.Output(), "out\n");
  captured.Wait();
  EXPECT_EQ(ReadFile(options.output), "out\nerr\nerr\n");
  options.capture_output = false;
  options.stdout_file = folder.path() / "out";
  WriteFileAtomically(options.stdout_file, "old and longer\n");
  Process(options).Wait();
  EXPECT_EQ(ReadFile(options.stdout_file), "out\n");
}

TEST(ProcessTest, PassesEnvironmentFolderAndArguments) {
  const TestFolder folder;
  ProcessOptions options;
  options.command = {"sh", "-c", "printf '%s|' \"$STROP_X\" \"$(pwd -P)\" \"$@\"", "sh", "a b", ""};
  options.env = {{"STROP_X", "1 2"}};
  options.directory = folder.path();
  options.capture_output = true;
  EXPECT_EQ(Process(options).Output(),
            "1 2|" + std::filesystem::canonical(folder.path()).string() + "|a b||");
}

TEST(ProcessTest, StopEscalatesAndTakesTheGroup) {
  const TestFolder folder;
  ProcessOptions options = Shell("trap '' TERM; sleep 1000 & echo $!; echo ready; wait; sleep 1000");
  options.stdout_file = folder.path() / "out";
  Process process(options);
  std::string text;
  for (int i = 0; i < 500 && text.find("ready") == std::string::npos; ++i) {
    std::this_thread::sleep_for(10ms);
    text = ReadFile(options.stdout_file);
  }
  const pid_t grandchild = std::stoi(text);
  ASSERT_TRUE(Runs(grandchild));
  EXPECT_EQ(process.Stop(100ms), 128 + SIGKILL);
  EXPECT_TRUE(Ends(grandchild));
}

TEST(ProcessTest, TheDestructorKills) {
  pid_t pid = 0;
  {
    Process process(Shell("sleep 1000"));
    pid = process.pid();
    Process moved = std::move(process);
    EXPECT_EQ(moved.pid(), pid);
    EXPECT_TRUE(Runs(pid));
  }
  EXPECT_FALSE(Runs(pid));
}

// Of the process that `pid_of` answers, below a parent that starts one with the options and is killed.
void ExpectItDiesWithTheParent(const ProcessOptions& options, pid_t (*pid_of)(Process&)) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    Process process(options);
    const pid_t pid = pid_of(process);
    if (write(ends[1], &pid, sizeof pid) != sizeof pid) _exit(1);
    pause();
    _exit(0);
  }
  pid_t below = 0;
  ASSERT_EQ(read(ends[0], &below, sizeof below), static_cast<ssize_t>(sizeof below));
  EXPECT_TRUE(Runs(below));
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  EXPECT_TRUE(Ends(below));
  close(ends[0]);
  close(ends[1]);
}

TEST(ProcessTest, ChildrenDieWithTheirParent) {
  ProcessOptions options;
  options.command = {"sleep", "1000"};
  ExpectItDiesWithTheParent(options, [](Process& process) { return process.pid(); });
}

TEST(ProcessTest, ChildrenOfChildrenDieWithTheirParent) {
  ProcessOptions options = Shell("sleep 1000 > /dev/null & echo $!; exec > /dev/null; wait");
  options.capture_output = true;
  ExpectItDiesWithTheParent(options, [](Process& process) -> pid_t { return std::stoi(process.Output()); });
}

TEST(ProcessTest, WhatAChildLeavesBehindLivesOn) {
  ProcessOptions options = Shell("sleep 1000 > /dev/null & echo $!");
  options.capture_output = true;
  Process process(options);
  const pid_t left = std::stoi(process.Output());
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_TRUE(Runs(left));
  kill(left, SIGKILL);
}

TEST(ProcessTest, AProgramThatIsNotThereIsSaidAtOnce) {
  const auto refused = [](const ProcessOptions& options, Code code) -> std::string {
    try {
      Process process(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "it started";
    return "";
  };
  ProcessOptions options;
  refused(options, Code::kInvalidArgument);
  options.command = {"strop-no-such-program"};
  EXPECT_THAT(refused(options, Code::kNotFound), HasSubstr("strop-no-such-program is not in PATH"));
  options.command = {"/no/such/program"};
  EXPECT_THAT(refused(options, Code::kNotFound), HasSubstr("/no/such/program"));
  options.command = {"true"};
  options.directory = "/no/such/folder";
  EXPECT_THAT(refused(options, Code::kNotFound), HasSubstr("working folder /no/such/folder"));
  options.directory.clear();
  options.output = "/no/such/folder/log";
  EXPECT_THAT(refused(options, Code::kIo), HasSubstr("output file /no/such/folder/log"));
  options.output.clear();
  options.command = {"/etc/passwd"};
  EXPECT_THAT(refused(options, Code::kIo), HasSubstr("/etc/passwd"));
}

TEST(ProcessTest, TheVerbsLieBesideTheLibrary) {
  std::filesystem::create_directories(STROP_BIN_DIR);  // where the tests are built alone
  EXPECT_EQ(VerbFolder(), std::filesystem::path(STROP_BIN_DIR));
  setenv("STROP_BIN_DIR", "/elsewhere", 1);
  EXPECT_EQ(VerbFolder(), "/elsewhere");
  unsetenv("STROP_BIN_DIR");
}

}  // namespace
}  // namespace strop
