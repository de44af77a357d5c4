#pragma once

#include <sys/types.h>

#include "strop/base/api.h"

namespace strop {

// Kills a process group (SIGKILL) when this process ends without having given the guard up, however it ends:
// a process of its own watches over a pipe. For what PR_SET_PDEATHSIG does not reach, the children of
// children. Movable; not thread safe.
class STROP_API GroupGuard {
 public:
  GroupGuard() = default;
  // Where no process can be made there is no guard.
  explicit GroupGuard(pid_t group) noexcept;
  GroupGuard(GroupGuard&& other) noexcept;
  GroupGuard& operator=(GroupGuard&& other) noexcept;
  // Gives the guard up: the group lives on.
  ~GroupGuard();

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;  // its end says that this process has ended
};

}  // namespace strop
