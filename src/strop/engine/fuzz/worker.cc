#include "strop/engine/fuzz/worker.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "strop/engine/fuzz/trial.h"

namespace strop::engine::fuzz {
namespace {

constexpr int kFound = 3;              // exit status of a process that came to a finding
constexpr int64_t kTrialsALife = 500;  // of one process
constexpr int kFrames = 6;             // of a crash that are told

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void LimitMemory(int64_t megabytes) {
  const rlim_t bytes = static_cast<rlim_t>(megabytes) << 20;
  const rlimit space{bytes, bytes}, no_core{0, 0};
  if (!kSanitized) setrlimit(RLIMIT_AS, &space);
  setrlimit(RLIMIT_CORE, &no_core);
}

int64_t PeakMegabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss >> 10;
}

// The first part of a text names the bug: the step and the exception, or the step and the frames.
std::string KeyOf(const std::string& text) {
  std::string key;
  for (const char c : text.substr(0, 160))
    if ((c < '0' || c > '9') && c != '-') key += c;
  return key;
}

}  // namespace

Worker::Progress* Worker::here_ = nullptr;

Worker::Worker(int64_t first, int64_t step, int64_t end, std::filesystem::path file, Limits limits,
               Write write)
    : step_(step), end_(end), file_(std::move(file)), limits_(limits), write_(std::move(write)) {
  void* shared = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw std::bad_alloc();
  progress_ = new (shared) Progress{};
  progress_->number = first;
}

Worker::~Worker() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  munmap(progress_, sizeof(Progress));
}

// Tells in which libraries and functions the process was. Not safe in a handler, but the process is lost
// anyway, and a hang in here is ended from outside.
void Worker::OnCrash(int signal) {
  void* frames[32];
  const int count = backtrace(frames, 32);
  int told = 0;
  size_t used = 0;
  bool below_signal = false;
  for (int i = 1; i < count && told < kFrames && used + 1 < sizeof here_->where; ++i) {
    Dl_info info{};
    if (dladdr(frames[i], &info) == 0 || info.dli_fname == nullptr) continue;
    const char* library = std::strrchr(info.dli_fname, '/');
    library = library == nullptr ? info.dli_fname : library + 1;
    // The frames of libc's own signal return, raise and abort come first and say nothing.
    if (!below_signal && std::strncmp(library, "libc.so", 7) == 0) continue;
    below_signal = true;
    used += static_cast<size_t>(std::snprintf(
        here_->where + used, sizeof here_->where - used, " %s+%#lx", library,
        static_cast<unsigned long>(static_cast<char*>(frames[i]) - static_cast<char*>(info.dli_fbase))));
    ++told;
  }
  std::signal(signal, SIG_DFL);
  raise(signal);
}

void Worker::Live() {
  here_ = progress_;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  LimitMemory(limits_.megabytes);
  if (!kSanitized) {
    static char stack[64 << 10];
    const stack_t alternative{.ss_sp = stack, .ss_flags = 0, .ss_size = sizeof stack};
    sigaltstack(&alternative, nullptr);
    struct sigaction action {};
    action.sa_handler = OnCrash;
    action.sa_flags = SA_ONSTACK;
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(signal, &action, nullptr);
  }
  for (int64_t lived = 0; lived < kTrialsALife && !done(); ++lived) {
    std::memcpy(progress_->stage, "write", 6);
    progress_->started_ms = NowMs();
    const int candidate = write_(progress_->number, file_);
    const TrialResult result = Try(file_, candidate, [](const char* name) {
      std::snprintf(here_->stage, sizeof here_->stage, "%s", name);
    });
    std::string text = result.kind == TrialResult::Kind::kFinding ? result.message : "";
    if (kSanitized && PeakMegabytes() > limits_.megabytes)
      text = fmt::format("{}: {} MB of memory", progress_->stage, PeakMegabytes());
    if (!text.empty()) {
      std::snprintf(progress_->text, sizeof progress_->text, "%s", text.c_str());
      _exit(kFound);
    }
    auto& count = result.kind == TrialResult::Kind::kRan ? progress_->ran : progress_->refused;
    count = count + 1;
    if (result.kind == TrialResult::Kind::kRefused)
      std::snprintf(progress_->text, sizeof progress_->text, "%s", result.message.c_str());
    progress_->number = progress_->number + step_;
  }
  _exit(0);
}

Finding Worker::Judge(int status, bool hangs) const {
  std::string text;
  if (hangs) {
    text = fmt::format("{}: no end within {} s", progress_->stage, limits_.seconds);
  } else if (WIFEXITED(status) && WEXITSTATUS(status) == kFound) {
    text = progress_->text;
  } else if (WIFSIGNALED(status)) {
    text = fmt::format("{}: {} in{}", progress_->stage, strsignal(WTERMSIG(status)), progress_->where);
  } else {
    text = fmt::format("{}: the process ended with {}", progress_->stage, WEXITSTATUS(status));
  }
  if (text.size() > 400) text = text.substr(0, 400) + " …";
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return {progress_->number, KeyOf(text), text};
}

std::optional<Finding> Worker::Poll() {
  if (process_ < 0) {
    progress_->started_ms = NowMs();
    progress_->where[0] = '\0';
    std::fflush(nullptr);
    process_ = fork();
    if (process_ == 0) Live();
  }
  int status = 0;
  const bool hangs = NowMs() - progress_->started_ms > limits_.seconds * 1000;
  if (hangs) kill(process_, SIGKILL);
  if (waitpid(process_, &status, hangs ? 0 : WNOHANG) != process_) return std::nullopt;
  process_ = -1;
  if (!hangs && WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::nullopt;
  Finding finding = Judge(status, hangs);
  progress_->number = progress_->number + step_;
  return finding;
}

}  // namespace strop::engine::fuzz
