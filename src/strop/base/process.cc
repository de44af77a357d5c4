#include "strop/base/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "strop/base/error.h"

extern char** environ;

namespace strop {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// What the child tells before exec: the step that failed and its errno.
enum class Step : int { kFolder, kOutput, kStdoutFile, kExec };
struct Failure {
  Step step;
  int error;
};

// The environment and PATH lookup are prepared before fork: after it, only async-signal-safe calls are
// allowed, as another thread may hold the allocator's lock.
struct Image {
  std::string program;
  std::vector<std::string> strings;
  std::vector<char*> argv, envp;
};

std::string_view VariableName(std::string_view entry) { return entry.substr(0, entry.find('=')); }

std::string FindProgram(const std::string& name, std::string_view path) {
  if (name.empty()) throw Error(Code::kInvalidArgument, "an empty command cannot be started: name a program");
  if (name.find('/') != std::string::npos) return name;
  while (!path.empty()) {
    const size_t colon = std::min(path.find(':'), path.size());
    const fs::path candidate = fs::path(colon > 0 ? path.substr(0, colon) : ".") / name;
    std::error_code ignored;
    if (::access(candidate.c_str(), X_OK) == 0 && !fs::is_directory(candidate, ignored))
      return candidate.string();
    path.remove_prefix(std::min(colon + 1, path.size()));
  }
  throw Error(Code::kNotFound,
              fmt::format("the program {} is not in PATH: install it or give its path", name));
}

Image Prepare(const ProcessOptions& options) {
  Image image;
  if (options.command.empty())
    throw Error(Code::kInvalidArgument, "an empty command cannot be started: name a program");
  std::string_view path;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string name(VariableName(*entry));
    if (options.env.count(name) > 0) continue;
    image.strings.emplace_back(*entry);
    if (name == "PATH") path = std::string_view(*entry).substr(5);
  }
  for (const auto& [name, value] : options.env) {
    image.strings.push_back(fmt::format("{}={}", name, value));
    if (name == "PATH") path = value;
  }
  const size_t variables = image.strings.size();
  image.strings.insert(image.strings.end(), options.command.begin(), options.command.end());
  for (size_t i = 0; i < image.strings.size(); ++i) {
    (i < variables ? image.envp : image.argv).push_back(image.strings[i].data());
  }
  image.envp.push_back(nullptr);
  image.argv.push_back(nullptr);
  image.program = FindProgram(options.command[0], path);
  return image;
}

// Runs in the child; never returns and never allocates.
[[noreturn]] void Exec(const Image& image, const ProcessOptions& options, int report, int stdout_pipe,
                       pid_t parent) {
  const auto fail = [&](Step step) {
    const Failure failure{step, errno};
    [[maybe_unused]] const ssize_t sent = ::write(report, &failure, sizeof failure);
    ::_exit(127);
  };
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the kernel was told
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);  // handlers end with exec, but what is ignored stays ignored
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  if (!options.output.empty()) {
    const int file = ::open(options.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) fail(Step::kOutput);
    ::dup2(file, STDOUT_FILENO);
    ::dup2(file, STDERR_FILENO);
  }
  if (!options.stdout_file.empty()) {
    const int file = ::open(options.stdout_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) fail(Step::kStdoutFile);
    ::dup2(file, STDOUT_FILENO);
  }
  if (stdout_pipe >= 0) ::dup2(stdout_pipe, STDOUT_FILENO);
  if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) fail(Step::kFolder);
  ::execve(image.program.c_str(), image.argv.data(), image.envp.data());
  fail(Step::kExec);
  ::_exit(127);
}

[[noreturn]] void ThrowFailure(const Failure& failure, const Image& image, const ProcessOptions& options) {
  const char* why = std::strerror(failure.error);
  const bool absent = failure.error == ENOENT || failure.error == ENOTDIR;
  const auto refuse = [&](Code code, std::string_view what, const std::string& path) {
    throw Error(code, fmt::format("cannot start {}: {} {}: {}", image.program, what, path, why));
  };
  switch (failure.step) {
    case Step::kFolder:
      refuse(absent ? Code::kNotFound : Code::kIo, "working folder", options.directory.string());
      break;
    case Step::kOutput:
      refuse(Code::kIo, "output file", options.output.string());
      break;
    case Step::kStdoutFile:
      refuse(Code::kIo, "output file", options.stdout_file.string());
      break;
    case Step::kExec:
      break;
  }
  throw Error(absent ? Code::kNotFound : Code::kIo, fmt::format("cannot start {}: {}", image.program, why));
}

int StatusOf(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int Reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return 127;  // ECHILD: somebody else waits for this process's children
  }
  return StatusOf(status);
}

// Whether the child has ended, without reaping it: until then its group id cannot be taken by another.
bool Ended(pid_t pid) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0)
    return errno == ECHILD;
  return info.si_pid == pid;
}

bool WaitUntilEnded(pid_t pid, std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  auto pause = std::chrono::microseconds(200);
  while (!Ended(pid)) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(10'000));
  }
  return true;
}

}  // namespace

Process::Process(const ProcessOptions& options) {
  const Image image = Prepare(options);
  int report[2] = {-1, -1}, output[2] = {-1, -1};
  const bool piped =
      ::pipe2(report, O_CLOEXEC) == 0 && (!options.capture_output || ::pipe2(output, O_CLOEXEC) == 0);
  const pid_t parent = ::getpid();
  const pid_t child = piped ? ::fork() : -1;
  if (child == 0) Exec(image, options, report[1], output[1], parent);
  const int fork_error = errno;
  if (report[1] >= 0) ::close(report[1]);
  if (output[1] >= 0) ::close(output[1]);
  Failure failure{};
  ssize_t got = 0;
  if (child > 0) {
    ::setpgid(child, child);  // here too, so that a Signal right away finds the group
    while ((got = ::read(report[0], &failure, sizeof failure)) < 0 && errno == EINTR) {
    }
  }
  if (report[0] >= 0) ::close(report[0]);
  if (child < 0 || got > 0) {
    if (output[0] >= 0) ::close(output[0]);
    if (child < 0)
      throw Error(Code::kIo, fmt::format("cannot start {}: {}", image.program, std::strerror(fork_error)));
    Reap(child);
    ThrowFailure(failure, image, options);
  }
  pid_ = child;
  stdout_ = output[0];
  guard_ = GroupGuard(child);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      stdout_(std::exchange(other.stdout_, -1)),
      status_(other.status_),
      guard_(std::move(other.guard_)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(stdout_, other.stdout_);
  std::swap(status_, other.status_);
  std::swap(guard_, other.guard_);
  return *this;
}

Process::~Process() {
  if (pid_ > 0 && !status_) {
    ::kill(-pid_, SIGKILL);
    Reap(pid_);
  }
  if (stdout_ >= 0) ::close(stdout_);
}

std::optional<int> Process::Poll() { return Wait(std::chrono::milliseconds(0)); }

std::optional<int> Process::Wait(std::chrono::milliseconds timeout) {
  if (status_ || pid_ < 0) return status_;
  if (timeout.count() >= 0 && !WaitUntilEnded(pid_, timeout)) return std::nullopt;
  status_ = Reap(pid_);
  guard_ = GroupGuard();
  return status_;
}

int Process::Stop(std::chrono::milliseconds grace) {
  if (status_) return *status_;
  if (pid_ < 0) return 127;
  ::kill(-pid_, SIGTERM);
  WaitUntilEnded(pid_, grace);
  ::kill(-pid_, SIGKILL);  // what is left of the group, too
  status_ = Reap(pid_);
  guard_ = GroupGuard();
  return *status_;
}

void Process::Signal(int signal) noexcept {
  if (pid_ > 0 && !status_) ::kill(-pid_, signal);
}

std::string Process::Output() {
  if (stdout_ < 0) throw Error(Code::kFailedPrecondition, "the output was not captured: set capture_output");
  std::string text;
  char block[16384];
  for (;;) {
    const ssize_t got = ::read(stdout_, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw Error(Code::kIo,
                  fmt::format("cannot read the output of process {}: {}", pid_, std::strerror(errno)));
    if (got == 0) return text;
    text.append(block, static_cast<size_t>(got));
  }
}

fs::path VerbFolder() {
  const char* forced = std::getenv("STROP_BIN_DIR");
  if (forced != nullptr && *forced != '\0') return forced;
  // lib/libstrop_base.so, which holds this function, stands beside bin in the package and in the build tree,
  // whether an executable or Python loaded it.
  std::error_code error;
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&VerbFolder), &info) != 0 && info.dli_fname != nullptr) {
    const fs::path library = fs::canonical(info.dli_fname, error);
    if (!error && fs::is_directory(library.parent_path().parent_path() / "bin", error)) {
      return library.parent_path().parent_path() / "bin";
    }
  }
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

}  // namespace strop
