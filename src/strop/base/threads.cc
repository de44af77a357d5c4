#include "strop/base/threads.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string_view>

#include <pthread.h>
#include <sched.h>

#include "strop/base/log.h"
#include "strop/base/topology.h"

namespace strop {
namespace {

namespace fs = std::filesystem;
constexpr size_t kCpuSets = 8;  // of 1,024 CPUs each: as many as Linux can have
constexpr double kNoQuota = std::numeric_limits<double>::infinity();

// cpu.max holds "max 100000" or "200000 100000": microseconds of CPU time a period.
double QuotaV2(const fs::path& folder) {
  std::ifstream file(folder / "cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return kNoQuota;
  return std::strtod(quota.c_str(), nullptr) / period;
}

double QuotaV1(const fs::path& folder) {
  std::ifstream quota_file(folder / "cpu.cfs_quota_us"), period_file(folder / "cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0) return kNoQuota;
  return quota / period;
}

// The tightest quota of the group and of every group above it. Inside a container the path may not exist
// below the mount, whose root is then the group itself.
template <class Quota>
double Tightest(const fs::path& mount, const std::string& group, Quota quota) {
  double cpus = quota(mount);
  fs::path folder = mount;
  for (const fs::path& part : fs::path(group).relative_path()) {
    folder /= part;
    cpus = std::min(cpus, quota(folder));
  }
  return cpus;
}

double CgroupCpus() {
  double cpus = kNoQuota;
  std::ifstream file("/proc/self/cgroup");  // "0::/group" for v2, "4:cpu,cpuacct:/group" for v1
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      cpus = std::min(cpus, Tightest("/sys/fs/cgroup", group, QuotaV2));
      continue;
    }
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name == "cpu") cpus = std::min(cpus, Tightest("/sys/fs/cgroup/cpu", group, QuotaV1));
    }
  }
  return cpus;
}

}  // namespace

int UsableCpus() {
  const double quota = CgroupCpus();
  const auto affinity = static_cast<int>(AffinityCpus().size());
  if (!std::isfinite(quota)) return affinity;
  return std::clamp(static_cast<int>(std::ceil(quota)), 1, affinity);
}

void NameThread(const std::string& name) noexcept {
  char short_name[16] = {};
  name.copy(short_name, 15);
  pthread_setname_np(pthread_self(), short_name);
}

bool BindThread(const std::vector<int>& cpus) {
  if (cpus.empty()) return false;
  std::array<cpu_set_t, kCpuSets> sets{};
  for (const int cpu : cpus) {
    if (cpu >= 0) CPU_SET_S(static_cast<size_t>(cpu), sizeof(sets), sets.data());
  }
  const int error = pthread_setaffinity_np(pthread_self(), sizeof(sets), sets.data());
  if (error != 0) Log("base").debug("a thread stays unbound: {}", std::strerror(error));
  return error == 0;
}

}  // namespace strop
