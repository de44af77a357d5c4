// For bench/claims/numa_guest.py: where the kernel has put a loader's readers and the pages of its batches.
//   strop_feed_numa_pages FILE READERS BATCH GPU NODE [BEFORE]    a line of JSON on stdout; GPU -1 for none
// The consumer runs on NODE when it opens the loader but may run anywhere, as one that nobody bound: only the
// loader's plan keeps readers and pages there. With BEFORE it had a loader on that node first, whose heaps
// the readers inherit. What is answered is the kernel's: affinity masks, the CPU a reader ran on last, and
// the node of each page by move_pages(2).
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/threads.h"
#include "strop/base/topology.h"
#include "strop/feed/loader.h"
#include "strop/feed/workers/placement.h"

namespace {

using nlohmann::json;
using strop::feed::Batch;
using strop::feed::Loader;

constexpr int kTries = 20;  // to open the loader without being moved meanwhile
constexpr int kEpochs = 2;  // the first is of fresh blocks, the next of used ones

[[noreturn]] void Fail(const std::string& call) {
  throw strop::Error(strop::Code::kInternal, fmt::format("{}: {}", call, std::strerror(errno)));
}

// Not the CPUs that Strop takes for the node's, but the kernel's own.
int NodeOfThisThread() {
  unsigned cpu = 0, node = 0;
  if (getcpu(&cpu, &node) != 0) Fail("getcpu");
  return static_cast<int>(node);
}

void Bind(const std::vector<int>& cpus) {
  if (!strop::BindThread(cpus)) throw strop::Error(strop::Code::kInternal, "a thread stays unbound");
}

void MoveTo(int node, const std::vector<int>& cpus) {
  for (const int cpu : cpus) {
    Bind({cpu});
    if (NodeOfThisThread() == node) return;
  }
  throw strop::Error(strop::Code::kInvalidArgument, fmt::format("node {} has no CPU here", node));
}

std::unique_ptr<Loader> OpenOn(int node, const std::vector<int>& all,
                               const strop::feed::LoaderOptions& options) {
  for (int i = 0; i < kTries; ++i) {
    MoveTo(node, all);
    Bind(all);  // and stays where it is until the scheduler moves it
    auto loader = Loader::Open(options);
    if (NodeOfThisThread() == node) {
      MoveTo(node, all);
      return loader;
    }
  }
  throw strop::Error(strop::Code::kInternal, fmt::format("the consumer was moved off node {}", node));
}

std::set<void*> PagesOf(const std::vector<Batch>& batches) {
  const auto size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  std::set<void*> pages;
  for (const auto& batch : batches) {
    for (const auto& [name, tensor] : batch.tensors) {
      const auto begin = reinterpret_cast<uintptr_t>(tensor.data());
      for (uintptr_t page = begin / size * size; page < begin + tensor.bytes(); page += size)
        pages.insert(reinterpret_cast<void*>(page));  // NOLINT(performance-no-int-to-ptr)
    }
  }
  return pages;
}

// Pages by the node they lie on; one that is not there counts under -1.
std::map<int, int64_t> CountByNode(const std::set<void*>& pages) {
  std::vector<void*> addresses(pages.begin(), pages.end());
  std::vector<int> nodes(addresses.size(), -1);
  if (syscall(SYS_move_pages, 0, addresses.size(), addresses.data(), nullptr, nodes.data(), 0) != 0)
    Fail("move_pages");
  std::map<int, int64_t> out;
  for (const int node : nodes) ++out[std::max(node, -1)];
  return out;
}

std::string FirstLine(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// The 39th field of stat; names may hold spaces, so it is counted from their bracket.
int LastCpu(const std::filesystem::path& task) {
  const std::string stat = FirstLine(task / "stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  std::string field;
  for (int i = 3; i <= 39; ++i) fields >> field;
  return std::stoi(field);
}

std::vector<int> AllowedCpus(pid_t thread) {
  cpu_set_t set;
  if (sched_getaffinity(thread, sizeof(set), &set) != 0) Fail("sched_getaffinity");
  std::vector<int> out;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) out.push_back(cpu);
  }
  return out;
}

json Readers() {
  json out = json::array();
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (FirstLine(task.path() / "comm").rfind("strop-feed-", 0) != 0) continue;
    const pid_t thread = std::stoi(task.path().filename().string());
    out.push_back({{"cpus", AllowedCpus(thread)}, {"ran_on", LastCpu(task.path())}});
  }
  return out;
}

// Every batch of an epoch, so that no block is used twice.
std::vector<Batch> AllBatches(Loader& loader) {
  std::vector<Batch> out;
  while (auto batch = loader.Next()) out.push_back(std::move(*batch));
  return out;
}

json Look(const strop::feed::LoaderOptions& options, int node, std::optional<int> before) {
  const std::vector<int> all = strop::AffinityCpus();
  if (before) AllBatches(*OpenOn(*before, all, options));
  const auto loader = OpenOn(node, all, options);
  json pages = json::array();
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    json counts = json::object();
    for (const auto& [where, count] : CountByNode(PagesOf(AllBatches(*loader))))
      counts[std::to_string(where)] = count;
    pages.push_back(std::move(counts));
  }
  return {{"consumer", NodeOfThisThread()}, {"readers", Readers()}, {"pages", pages}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) {
    std::cerr << "usage: strop_feed_numa_pages FILE READERS BATCH GPU NODE [BEFORE]\n";
    return 2;
  }
  try {
    strop::feed::LoaderOptions options;
    options.sources = {{.uris = {argv[1]}}};
    options.workers = std::stoi(argv[2]);
    options.batch_size = std::stoll(argv[3]);
    options.gpu = std::stoi(argv[4]);
    options.shuffle = true;
    const auto before = argc == 7 ? std::optional(std::stoi(argv[6])) : std::nullopt;
    std::cout << Look(options, std::stoi(argv[5]), before) << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
