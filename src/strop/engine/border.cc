#include "strop/engine/border.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace strop::engine {

size_t MemoryLimit() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  const size_t machine =
      pages > 0 && page > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(page) : SIZE_MAX;
  rlimit space{};
  if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY) return machine;
  return std::min<size_t>(machine, space.rlim_cur);
}

}  // namespace strop::engine
