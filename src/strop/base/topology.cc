#include "strop/base/topology.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <hwloc.h>

#include "strop/base/error.h"
#include "strop/base/threads.h"

namespace strop {
namespace {

size_t CacheBytes(hwloc_topology_t topology, hwloc_obj_type_t type, int sysconf_name) {
  const hwloc_obj_t cache = hwloc_get_obj_by_type(topology, type, 0);
  if (cache != nullptr && cache->attr->cache.size > 0) return cache->attr->cache.size;
  // In containers without /sys hwloc may see no caches, where glibc still asks CPUID.
  return static_cast<size_t>(std::max(0L, sysconf(sysconf_name)));
}

Topology Detect() {
  Topology out;
  out.threads = UsableCpus();
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return out;
  if (hwloc_topology_load(topology) == 0) {
    const auto count = [&](hwloc_obj_type_t type) {
      return std::max(1, hwloc_get_nbobjs_by_type(topology, type));
    };
    out.packages = count(HWLOC_OBJ_PACKAGE);
    out.numa_nodes = count(HWLOC_OBJ_NUMANODE);
    out.cores = count(HWLOC_OBJ_CORE);
    out.threads = count(HWLOC_OBJ_PU);
    out.l1d_bytes = CacheBytes(topology, HWLOC_OBJ_L1CACHE, _SC_LEVEL1_DCACHE_SIZE);
    out.l2_bytes = CacheBytes(topology, HWLOC_OBJ_L2CACHE, _SC_LEVEL2_CACHE_SIZE);
    out.l3_bytes = CacheBytes(topology, HWLOC_OBJ_L3CACHE, _SC_LEVEL3_CACHE_SIZE);
    const hwloc_obj_t l3 = hwloc_get_obj_by_type(topology, HWLOC_OBJ_L3CACHE, 0);
    if (l3 != nullptr) out.l3_sharers = std::max(1, hwloc_bitmap_weight(l3->cpuset));
  }
  hwloc_topology_destroy(topology);
  return out;
}

struct DestroyTopology {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using TopologyHandle = std::unique_ptr<hwloc_topology, DestroyTopology>;

TopologyHandle NewTopology() {
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) throw Error(Code::kInternal, "hwloc cannot begin a topology");
  return TopologyHandle(topology);
}

int PackageOf(hwloc_topology_t topology, hwloc_obj_t object) {
  const hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, object);
  return package == nullptr ? 0 : static_cast<int>(package->logical_index);
}

std::vector<int> CpuIds(hwloc_const_cpuset_t set) {
  std::vector<int> out;
  for (int id = hwloc_bitmap_first(set); id >= 0; id = hwloc_bitmap_next(set, id)) out.push_back(id);
  return out;
}

std::vector<std::vector<double>> Distances(hwloc_topology_t topology, size_t nodes) {
  hwloc_distances_s* matrix = nullptr;
  unsigned count = 1;
  if (hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, &count, &matrix,
                                  HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) != 0 ||
      count == 0) {
    return {};
  }
  std::vector<std::vector<double>> out(nodes, std::vector<double>(nodes, 10));
  for (unsigned i = 0; i < matrix->nbobjs; ++i) {
    for (unsigned j = 0; j < matrix->nbobjs; ++j) {
      out[matrix->objs[i]->logical_index][matrix->objs[j]->logical_index] =
          static_cast<double>(matrix->values[i * matrix->nbobjs + j]);
    }
  }
  hwloc_distances_release(topology, matrix);
  return out;
}

Machine::Cpu DescribeCpu(hwloc_topology_t topology, hwloc_obj_t pu, const Machine& machine) {
  Machine::Cpu cpu{static_cast<int>(pu->os_index), static_cast<int>(pu->os_index), 0, -1};
  const hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);
  if (core != nullptr) cpu.core = static_cast<int>(core->logical_index);
  const hwloc_obj_t l3 = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_L3CACHE, pu);
  if (l3 != nullptr) cpu.l3 = static_cast<int>(l3->logical_index);
  for (size_t n = 0; n < machine.nodes.size(); ++n) {
    const auto& cpus = machine.nodes[n].cpus;
    if (std::binary_search(cpus.begin(), cpus.end(), cpu.id)) {
      cpu.node = static_cast<int>(n);
      break;  // memory without CPUs of its own (HBM, CXL) comes later and covers them again
    }
  }
  return cpu;
}

// Where hwloc sees no L3 (some containers), a node stands for a domain of the size that glibc tells.
void StandInForL3(Machine& machine, bool synthetic) {
  if (!machine.l3s.empty()) return;
  const size_t bytes = synthetic ? 0 : static_cast<size_t>(std::max(0L, sysconf(_SC_LEVEL3_CACHE_SIZE)));
  for (const auto& node : machine.nodes) machine.l3s.push_back({bytes, node.cpus});
  for (auto& cpu : machine.cpus) cpu.l3 = cpu.node;
}

size_t ShareOfL2(hwloc_topology_t topology) {
  size_t least = 0;
  for (hwloc_obj_t l2 = nullptr;
       (l2 = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_L2CACHE, l2)) != nullptr;) {
    const int cores = hwloc_get_nbobjs_inside_cpuset_by_type(topology, l2->cpuset, HWLOC_OBJ_CORE);
    const size_t share = l2->attr->cache.size / static_cast<size_t>(std::max(1, cores));
    if (least == 0 || share < least) least = share;
  }
  return least;
}

Machine Describe(hwloc_topology_t topology, bool synthetic) {
  Machine out;
  out.l2_bytes = ShareOfL2(topology);
  for (hwloc_obj_t node = nullptr;
       (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr;) {
    out.nodes.push_back({static_cast<int>(node->os_index), PackageOf(topology, node), CpuIds(node->cpuset)});
  }
  for (hwloc_obj_t l3 = nullptr;
       (l3 = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_L3CACHE, l3)) != nullptr;) {
    out.l3s.push_back({static_cast<size_t>(l3->attr->cache.size), CpuIds(l3->cpuset)});
  }
  for (hwloc_obj_t pu = nullptr; (pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != nullptr;) {
    out.cpus.push_back(DescribeCpu(topology, pu, out));
  }
  std::sort(out.cpus.begin(), out.cpus.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  StandInForL3(out, synthetic);
  out.distance = Distances(topology, out.nodes.size());
  return out;
}

Machine DetectMachine() {
  const TopologyHandle topology = NewTopology();
  if (hwloc_topology_load(topology.get()) != 0)
    throw Error(Code::kInternal, "hwloc cannot read this machine's topology");
  Machine out = Describe(topology.get(), false);
  out.gpus = ListGpus();
  return out;
}

std::string FirstLine(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

}  // namespace

const Topology& MachineTopology() {
  static const Topology topology = Detect();
  return topology;
}

const Machine::Cpu* Machine::Find(int id) const noexcept {
  for (const auto& cpu : cpus) {
    if (cpu.id == id) return &cpu;
  }
  return nullptr;
}

int Machine::NodeOf(int os_index) const noexcept {
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (nodes[n].id == os_index) return static_cast<int>(n);
  }
  return -1;
}

double Machine::Distance(int node_a, int node_b) const {
  const auto a = static_cast<size_t>(node_a), b = static_cast<size_t>(node_b);
  if (!distance.empty()) return distance.at(a).at(b);
  if (a == b) return 10;
  return nodes.at(a).package == nodes.at(b).package ? 12 : 21;
}

const Machine& ThisMachine() {
  static const Machine machine = DetectMachine();
  return machine;
}

Machine SyntheticMachine(const std::string& description) {
  const TopologyHandle topology = NewTopology();
  if (hwloc_topology_set_synthetic(topology.get(), description.c_str()) != 0 ||
      hwloc_topology_load(topology.get()) != 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("\"{}\" is no synthetic machine of hwloc: expected levels such as "
                            "\"package:2 numa:1 l3:1 core:8 pu:2\"",
                            description));
  }
  return Describe(topology.get(), true);
}

std::vector<int> AffinityCpus() {
  // A fixed cpu_set_t holds 1024; a larger machine answers EINVAL until the set is large enough.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    cpu_set_t* const set = CPU_ALLOC(static_cast<size_t>(cpus));
    if (set == nullptr) break;
    std::vector<int> out;
    if (sched_getaffinity(0, bytes, set) == 0) {
      for (int id = 0; id < cpus; ++id) {
        if (CPU_ISSET_S(static_cast<size_t>(id), bytes, set)) out.push_back(id);
      }
    }
    CPU_FREE(set);
    if (!out.empty()) return out;
  }
  std::vector<int> online(static_cast<size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN))));
  std::iota(online.begin(), online.end(), 0);
  return online;
}

std::vector<int> CpusApart(const Machine& machine, const std::vector<int>& allowed, int count) {
  std::map<int, int> of_core;
  std::vector<std::pair<int, int>> order;  // how many of its core come before it, id
  for (const int id : allowed) {
    const Machine::Cpu* cpu = machine.Find(id);
    order.emplace_back(cpu == nullptr ? 0 : of_core[cpu->core]++, id);
  }
  std::sort(order.begin(), order.end());
  order.resize(std::min(order.size(), static_cast<size_t>(std::max(count, 0))));
  std::vector<int> out;
  for (const auto& [before, id] : order) out.push_back(id);
  return out;
}

std::vector<Machine::Gpu> ListGpus(const std::filesystem::path& devices) {
  std::vector<Machine::Gpu> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(devices, error)) {
    const std::string kind = FirstLine(entry.path() / "class");  // "0x030200"
    const std::string vendor = FirstLine(entry.path() / "vendor");
    if (kind.rfind("0x03", 0) != 0 && kind.rfind("0x12", 0) != 0) continue;
    if (vendor == "0x1a03" || vendor == "0x102b") continue;  // ASPEED, Matrox: consoles of servers
    const std::string node = FirstLine(entry.path() / "numa_node");
    out.push_back({entry.path().filename().string(), node.empty() ? -1 : std::atoi(node.c_str())});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
  return out;
}

}  // namespace strop
