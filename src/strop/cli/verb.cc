#include "strop/cli/verb.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/log.h"
#include "strop/base/progress.h"

namespace strop::cli {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

void OnSignal(int signal) {
  if (g_interrupted != 0) {  // the second one does not wait for the verb
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  g_interrupted = 1;
}

void HandleSignals() {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_NODEFER;  // or the second raise would wait for the handler's return
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool IsTerminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::strcmp(term, "dumb") != 0;
}

size_t TerminalWidth() {
  struct winsize size {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

enum class Shown { kBar, kJson, kPlain };

Shown HowShown() {
  const char* asked = std::getenv(kProgressVariable);
  if (asked != nullptr && std::strcmp(asked, "json") == 0) return Shown::kJson;
  return IsTerminal() ? Shown::kBar : Shown::kPlain;
}

std::chrono::milliseconds Pause(Shown shown) {
  return shown == Shown::kPlain ? std::chrono::seconds(10) : std::chrono::milliseconds(100);
}

std::string Bar(int64_t done, int64_t total) {
  constexpr size_t kWidth = 24;
  const double share = std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
  const auto filled = static_cast<size_t>(share * kWidth);
  return fmt::format("  [{}{}] {:3.0f}%", std::string(filled, '#'), std::string(kWidth - filled, '.'),
                     share * 100);
}

std::string DurationText(double seconds) {
  if (seconds < 60) return fmt::format("{:.0f}s", seconds);
  const auto whole = static_cast<int64_t>(seconds);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

// Messages are one line whatever they quote.
std::string OneLine(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

int Fail(Console& console, const VerbInfo& info, const std::string& message, int status) {
  console.EndProgress();
  fmt::print(stderr, "strop {}: {}\n", info.name, OneLine(message));
  return status;
}

}  // namespace

void Console::Say(const std::string& line) {
  if (json || quiet) return;
  EndProgress();
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void Console::Result(const nlohmann::json& result, const std::string& text) {
  EndProgress();
  if (json) {
    // Names of files need not be UTF-8; a replacement character is better than no result.
    fmt::print("{}\n", result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (!text.empty()) {
    fmt::print("{}{}", text, text.back() == '\n' ? "" : "\n");
  }
  std::fflush(stdout);
}

void Console::Progress(const std::string& what, int64_t done, int64_t total, const std::string& note) {
  if (quiet) return;
  std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  const Shown shown = HowShown();
  const bool first = what != what_;
  if (first) {
    what_ = what;
    started_ = now;
  }
  const bool last = total > 0 && done >= total;
  const bool at_once = shown != Shown::kPlain && (first || last);
  if (!at_once && last_shown_ != Clock::time_point{} && now - last_shown_ < Pause(shown)) return;
  last_shown_ = now;

  if (shown == Shown::kJson) {
    fmt::print(stderr, "{}\n", strop::Progress{what, done, total, note}.ToLine());
    return;
  }
  std::string counts = total > 0 ? fmt::format("{}/{}", done, total) : fmt::format("{}", done);
  const double seconds = std::chrono::duration<double>(now - started_).count();
  if (total > 0 && done > 0 && !last && seconds >= 1) {
    counts += fmt::format(
        "  {} left", DurationText(seconds / static_cast<double>(done) * static_cast<double>(total - done)));
  }
  if (!note.empty()) counts += "  " + note;
  if (shown == Shown::kPlain) {
    fmt::print(stderr, "{}: {}\n", what, counts);
    return;
  }
  std::string line = what + (total > 0 ? Bar(done, total) : "") + "  " + counts;
  if (line.size() >= TerminalWidth()) line.resize(TerminalWidth() - 1);
  fmt::print(stderr, "\r\x1b[K{}", line);  // a cursor movement, not a colour: NO_COLOR does not forbid it
  std::fflush(stderr);
  bar_open_ = true;
}

void Console::EndProgress() {
  std::lock_guard lock(mutex_);
  if (bar_open_) fmt::print(stderr, "\n");
  bar_open_ = false;
  what_.clear();
}

bool Interrupted() noexcept { return g_interrupted != 0; }

void ThrowIfInterrupted() {
  if (Interrupted()) throw Error(Code::kCancelled, "interrupted; what was done is kept");
}

int RunVerb(int argc, char** argv, const VerbInfo& info, const std::function<void(CLI::App&)>& setup,
            const std::function<int(Console&)>& run) {
  HandleSignals();
  Console console;
  try {
    CLI::App app(info.summary, "strop " + info.name);
    std::string log_level = "warning";
    app.add_flag("--json", console.json, "Print the result as one JSON object");
    app.add_flag("-q,--quiet", console.quiet, "No progress and no remarks");
    app.add_option("--log", log_level, "What to log to stderr: trace, debug, info, warning, error, off")
        ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}))
        ->type_name("LEVEL");
    app.set_version_flag("--version", "strop " STROP_VERSION);
    std::string footer = "Example:";
    for (size_t begin = 0; begin < info.example.size();) {
      const size_t end = std::min(info.example.find('\n', begin), info.example.size());
      footer += "\n  " + info.example.substr(begin, end - begin);
      begin = end + 1;
    }
    app.footer(footer);
    setup(app);
    try {
      app.parse(argc, argv);
    } catch (const CLI::Success& asked) {  // --help, --version
      const int status = app.exit(asked);
      return std::fflush(stdout) == 0 ? status : 1;
    }
    InitLog(log_level);
    const int status = run(console);
    console.EndProgress();
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      return Fail(console, info, fmt::format("cannot write to stdout: {}", std::strerror(errno)), 1);
    }
    return status;
  } catch (const CLI::ParseError& error) {
    return Fail(console, info, fmt::format("{} (see strop {} --help)", OneLine(error.what()), info.name), 2);
  } catch (const Error& error) {
    // After Ctrl-C an error is most likely its consequence (a call that was interrupted).
    return Fail(console, info, error.what(), error.code() == Code::kCancelled || Interrupted() ? 130 : 1);
  } catch (const std::bad_alloc&) {
    return Fail(console, info, "out of memory", 1);
  } catch (const std::filesystem::filesystem_error& error) {
    return Fail(console, info, fmt::format("{}: {}", error.path1().string(), error.code().message()), 1);
  } catch (const std::exception& error) {
    return Fail(console, info, fmt::format("internal error: {}", error.what()), 1);
  }
}

}  // namespace strop::cli
