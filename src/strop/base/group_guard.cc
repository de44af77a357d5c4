#include "strop/base/group_guard.h"

#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace strop {
namespace {

constexpr int kWatched = 3;

// Ends of other pipes and sockets must not live on in the guard.
void CloseAllBut(int fd) noexcept {
  ::dup2(fd, kWatched);
  if (::syscall(SYS_close_range, kWatched + 1, ~0u, 0) != 0)
    for (int other = kWatched + 1; other < 4096; ++other) ::close(other);
  const int null = ::open("/dev/null", O_RDWR);
  for (int standard = 0; standard < kWatched; ++standard) ::dup2(null, standard);
}

// Runs in the guard: only async-signal-safe calls, as after any fork of a process with threads.
[[noreturn]] void Watch(int fd, pid_t group) noexcept {
  ::setsid();  // away from the terminal's signals
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) std::signal(signal, SIG_IGN);
  ::prctl(PR_SET_NAME, "strop-guard");
  CloseAllBut(fd);
  char given_up = 0;
  ssize_t got = 0;
  while ((got = ::read(kWatched, &given_up, 1)) < 0 && errno == EINTR) {
  }
  if (got == 0) ::kill(-group, SIGKILL);
  ::_exit(0);
}

}  // namespace

GroupGuard::GroupGuard(pid_t group) noexcept {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  pid_ = ::fork();
  if (pid_ == 0) Watch(ends[0], group);
  ::close(ends[0]);
  if (pid_ > 0)
    pipe_ = ends[1];
  else
    ::close(ends[1]);
}

GroupGuard::GroupGuard(GroupGuard&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pipe_(std::exchange(other.pipe_, -1)) {}

GroupGuard& GroupGuard::operator=(GroupGuard&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pipe_, other.pipe_);
  return *this;
}

GroupGuard::~GroupGuard() {
  if (pipe_ < 0) return;
  [[maybe_unused]] const ssize_t sent = ::write(pipe_, "q", 1);
  ::close(pipe_);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace strop
