#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>

namespace strop::cli {

// What every verb shares: --help with an example, --json, --quiet, --log LEVEL, one line on stderr for a
// failure, and the exit codes 0 done, 1 failed, 2 wrong usage, 130 interrupted with work kept.

// How a verb speaks. Plain text goes to stdout unless --json was given; then only Result goes there, as one
// JSON object. Progress goes to stderr: a bar on a terminal, a plain line at most every ten seconds
// elsewhere, nothing with --quiet. One thread at a time, but for Progress.
class Console {
 public:
  bool json = false;
  bool quiet = false;

  // A line for people; silent with --json and with --quiet.
  void Say(const std::string& line);
  // The verb's result: printed as JSON with --json, otherwise `text` (may be empty) is printed.
  void Result(const nlohmann::json& result, const std::string& text);
  // total <= 0: unknown. Thread safe.
  void Progress(const std::string& what, int64_t done, int64_t total, const std::string& note = "");
  // Ends the bar's line, if one is open.
  void EndProgress();

 private:
  using Clock = std::chrono::steady_clock;

  std::mutex mutex_;
  std::string what_;              // of the last Progress; another one starts anew
  Clock::time_point started_;     // of what_
  Clock::time_point last_shown_;  // of a bar or line
  bool bar_open_ = false;
};

struct VerbInfo {
  std::string name;     // "tune"
  std::string summary;  // one line
  std::string example;  // command lines shown below --help
};

// Whether Ctrl-C or SIGTERM came. The first asks (a verb polls this, keeps its work and returns 130); a
// second kills.
bool Interrupted() noexcept;
// Throws kCancelled when Interrupted: RunVerb turns it into exit 130.
void ThrowIfInterrupted();

// The body of a verb's main(): parses, runs, maps errors. `setup` adds options to the app and binds them to
// variables that `run` reads. A strop::Error becomes "strop tune: MESSAGE" on stderr and exit 1, or 130 when
// it is kCancelled or came after Ctrl-C; a CLI::ParseError, thrown by parsing or by `run`, exits 2.
int RunVerb(int argc, char** argv, const VerbInfo& info, const std::function<void(CLI::App&)>& setup,
            const std::function<int(Console&)>& run);

}  // namespace strop::cli
