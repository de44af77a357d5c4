#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "strop/base/api.h"
#include "strop/base/group_guard.h"

namespace strop {

struct STROP_API ProcessOptions {
  std::vector<std::string> command;        // command[0] is looked up in PATH
  std::map<std::string, std::string> env;  // added to this process's own
  std::filesystem::path directory;         // working folder; empty: this process's
  std::filesystem::path output;            // stdout and stderr are appended here; empty: inherited
  std::filesystem::path
      stdout_file;              // stdout goes here instead, from its start; `output` then takes only stderr
  bool capture_output = false;  // stdout into a pipe that Output() reads; `output` then takes only stderr
};

// A child in a process group of its own, killed by the kernel should this process die (PR_SET_PDEATHSIG, sent
// when the thread that started it ends: start children from a thread that lives as long as they may), the
// rest of its group by a guard. Not thread safe. The destructor kills the group and reaps.
class STROP_API Process {
 public:
  // Throws kNotFound when the program is not there, kIo otherwise.
  explicit Process(const ProcessOptions& options);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  pid_t pid() const noexcept { return pid_; }
  // Exit status once ended: the code, or 128 + signal. nullopt while it runs.
  std::optional<int> Poll();
  // Waits; nullopt on timeout (negative: none).
  std::optional<int> Wait(std::chrono::milliseconds timeout = std::chrono::milliseconds(-1));
  // SIGTERM to the group, SIGKILL after `grace`; answers the exit status.
  int Stop(std::chrono::milliseconds grace = std::chrono::seconds(5));
  void Signal(int signal) noexcept;
  // All of stdout, read until the child closes it. Only with capture_output.
  std::string Output();

 private:
  pid_t pid_ = -1;
  int stdout_ = -1;
  std::optional<int> status_;
  GroupGuard guard_;  // until the child has ended
};

// The folder that holds the verbs' executables: that of the running executable, or of the library (Python).
// STROP_BIN_DIR overrides.
STROP_API std::filesystem::path VerbFolder();

}  // namespace strop
