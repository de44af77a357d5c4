#include "strop/feed/workers/placement.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "strop/base/error.h"
#include "strop/base/log.h"
#include "strop/base/threads.h"

namespace strop::feed {
namespace {

constexpr int64_t kLeastChunk = 64 << 10;
constexpr int64_t kMostChunk = 8 << 20;
constexpr int64_t kChunkWithoutL3 = 1 << 20;

std::vector<const Machine::Cpu*> Usable(const Machine& machine, const PlacementRequest& request) {
  std::vector<const Machine::Cpu*> out;
  for (const int id : std::set<int>(request.cpus.begin(), request.cpus.end())) {
    const Machine::Cpu* const cpu = machine.Find(id);
    if (cpu == nullptr)
      throw Error(Code::kInvalidArgument,
                  fmt::format("CPU {} is not among this machine's {}", id, machine.cpus.size()));
    out.push_back(cpu);
  }
  if (request.workers < 1 || out.empty())
    throw Error(Code::kInvalidArgument, fmt::format("{} readers on {} usable CPUs: both must be at least 1",
                                                    request.workers, out.size()));
  return out;
}

// The place in Machine::nodes; without a wish, where most usable CPUs lie.
int ConsumerNode(const Machine& machine, const PlacementRequest& request,
                 const std::vector<const Machine::Cpu*>& usable) {
  if (request.consumer_node) {
    const int node = machine.NodeOf(*request.consumer_node);
    if (node < 0)
      throw Error(Code::kInvalidArgument, fmt::format("NUMA node {} is not among this machine's {}",
                                                      *request.consumer_node, machine.nodes.size()));
    return node;
  }
  if (request.consumer_cpu) {
    if (const Machine::Cpu* const cpu = machine.Find(*request.consumer_cpu)) return cpu->node;
  }
  std::map<int, int> counts;
  for (const auto* cpu : usable) ++counts[cpu->node];
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// Usable CPUs in the order in which readers take them.
std::vector<const Machine::Cpu*> Order(const Machine& machine, const PlacementRequest& request, int node,
                                       std::vector<const Machine::Cpu*> usable) {
  const Machine::Cpu* const consumer = request.consumer_cpu ? machine.Find(*request.consumer_cpu) : nullptr;
  std::map<int, int> of_core;
  std::vector<std::tuple<double, int, int, int, int, const Machine::Cpu*>> ranked;
  for (const auto* cpu : usable) {
    const int thread = of_core[cpu->core]++;
    const bool at_consumer = consumer != nullptr && cpu->core == consumer->core;
    const double away = cpu->node == node ? 0 : machine.Distance(node, cpu->node);
    const int far_l3 = consumer != nullptr && cpu->l3 == consumer->l3 ? 0 : 1;
    const int last = !at_consumer ? 0 : cpu == consumer ? 2 : 1;
    ranked.emplace_back(away, last, thread, far_l3, cpu->id, cpu);
  }
  std::sort(ranked.begin(), ranked.end());
  for (size_t i = 0; i < usable.size(); ++i) usable[i] = std::get<5>(ranked[i]);
  return usable;
}

// A reader that has its core alone may run on each of its threads, except the consumer's.
std::vector<int> CoreOf(const Machine::Cpu& mine, const std::vector<const Machine::Cpu*>& order, size_t taken,
                        std::optional<int> consumer) {
  std::vector<int> out{mine.id};
  for (size_t i = 0; i < order.size(); ++i) {
    if (order[i] == &mine || order[i]->core != mine.core) continue;
    if (i < taken) return {mine.id};
    if (consumer != order[i]->id) out.push_back(order[i]->id);
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Beyond all CPUs readers mostly wait for the storage: they take turns in the consumer's node, or in the
// nearest.
std::vector<int> Shared(const std::vector<const Machine::Cpu*>& order, const Machine::Cpu& mine) {
  std::vector<int> out;
  for (const auto* cpu : order) {
    if (cpu->l3 == mine.l3 && cpu->node == mine.node) out.push_back(cpu->id);
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Half of a reader's share of its L3, or an eighth of its L2 where that is less. Of the L3 a guest sees all,
// and shares it with others whom it does not see.
std::string SizeChunks(const Machine& machine, std::vector<ReaderPlace>& readers) {
  std::map<int, int> sharing;
  for (const auto& reader : readers) ++sharing[reader.l3];
  const auto by_l2 = static_cast<int64_t>(machine.l2_bytes) / 8;
  std::string out;
  std::set<int> said;
  for (auto& reader : readers) {
    const auto bytes = static_cast<int64_t>(machine.l3s.at(static_cast<size_t>(reader.l3)).bytes);
    const int count = sharing[reader.l3];
    const int64_t share = bytes == 0 ? kChunkWithoutL3 : bytes / count / 2;
    const int64_t fits = by_l2 > 0 ? std::min(share, by_l2) : share;
    reader.chunk_bytes = std::clamp(fits, kLeastChunk, kMostChunk);
    if (!said.insert(reader.l3).second) continue;
    if (!out.empty()) out += "; ";
    out += bytes == 0 ? fmt::format("L3 {}: its size is not told, so {} KiB", reader.l3, share >> 10)
                      : fmt::format("L3 {}: {} KiB / {} reader{} / 2 = {} KiB", reader.l3, bytes >> 10, count,
                                    count == 1 ? "" : "s", share >> 10);
    if (fits < share) out += fmt::format(", an eighth of L2 is {} KiB", fits >> 10);
    if (fits != reader.chunk_bytes)
      out +=
          fmt::format(", {} {} KiB", fits < kLeastChunk ? "at least" : "at most", reader.chunk_bytes >> 10);
  }
  return out;
}

std::string Reason(const Machine& machine, const PlacementRequest& request, const Placement& plan,
                   size_t cpus) {
  std::string out = plan.binds ? fmt::format("{} of {} readers on node {}, where the consumer is",
                                             request.workers - plan.crossing, request.workers, plan.node)
                               : "one NUMA node: nothing to bind, threads are left to the scheduler";
  if (plan.crossing > 0) {
    std::set<int> where;
    for (const auto& reader : plan.readers) {
      if (reader.overflow) where.insert(reader.node);
    }
    out += fmt::format("; {} overflow to node {}, the nearest with usable CPUs", plan.crossing,
                       fmt::join(where, ", "));
  }
  if (static_cast<size_t>(request.workers) > cpus)
    out += fmt::format("; {} readers share {} usable CPUs", request.workers, cpus);
  if (request.quota > 0 && static_cast<size_t>(request.quota) < cpus)
    out += fmt::format("; a quota lets {} of {} CPUs run at once", request.quota, cpus);
  if (plan.binds && machine.distance.empty()) out += "; distances are not told and taken from packages";
  return out;
}

}  // namespace

Placement PlanPlacement(const Machine& machine, const PlacementRequest& request) {
  const auto usable = Usable(machine, request);
  const int node = ConsumerNode(machine, request, usable);
  const auto order = Order(machine, request, node, usable);
  const auto workers = static_cast<size_t>(request.workers);
  const auto home = std::max<size_t>(
      1, static_cast<size_t>(std::count_if(order.begin(), order.end(),
                                           [&](const auto* cpu) { return cpu->node == order[0]->node; })));
  Placement plan;
  plan.node = machine.nodes.at(static_cast<size_t>(node)).id;
  plan.binds = machine.nodes.size() > 1;
  for (size_t i = 0; i < workers; ++i) {
    const bool own = i < order.size();
    const Machine::Cpu& cpu = *order[own ? i : (i - order.size()) % home];
    ReaderPlace place;
    place.cpus =
        own ? CoreOf(cpu, order, std::min(workers, order.size()), request.consumer_cpu) : Shared(order, cpu);
    place.node = machine.nodes.at(static_cast<size_t>(cpu.node)).id;
    place.l3 = std::max(0, cpu.l3);
    place.overflow = cpu.node != node;
    plan.crossing += place.overflow ? 1 : 0;
    plan.readers.push_back(std::move(place));
  }
  plan.chunks = SizeChunks(machine, plan.readers);
  plan.reason = Reason(machine, request, plan, order.size());
  return plan;
}

Placement PlanHere(int workers, std::optional<int> consumer_node) {
  PlacementRequest request;
  request.cpus = AffinityCpus();
  request.quota = UsableCpus();
  request.workers = workers;
  const int cpu = sched_getcpu();
  if (cpu >= 0) request.consumer_cpu = cpu;
  request.consumer_node = consumer_node;
  return PlanPlacement(ThisMachine(), request);
}

std::string Placement::Text() const {
  std::string out;
  for (size_t i = 0; i < readers.size(); ++i) {
    out += fmt::format("reader {:2}  node {}  L3 {}  CPU {}  chunk {} KiB{}\n", i, readers[i].node,
                       readers[i].l3, fmt::join(readers[i].cpus, ","), readers[i].chunk_bytes >> 10,
                       readers[i].overflow ? "  (overflow)" : "");
  }
  return out + "placement: " + reason + "\nchunks: " + chunks;
}

bool PreferNode(void* data, size_t bytes, int node) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes + page - 1) / page * page;
  if (node < 0 || bytes == 0) return false;
  constexpr size_t kBits = 8 * sizeof(unsigned long);
  std::vector<unsigned long> mask(static_cast<size_t>(node) / kBits + 1);
  mask[static_cast<size_t>(node) / kBits] = 1UL << (static_cast<size_t>(node) % kBits);
  // The kernel takes one bit fewer than it is told (mbind(2), bugs).
  const long done = syscall(SYS_mbind, begin, end - begin, MPOL_PREFERRED, mask.data(),
                            mask.size() * kBits + 1, MPOL_MF_MOVE);
  if (done != 0)
    Log("feed").debug("memory stays where it is, not on node {}: {}", node, std::strerror(errno));
  return done == 0;
}

}  // namespace strop::feed
