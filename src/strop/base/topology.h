#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "strop/base/api.h"

namespace strop {

// What the loader, kernels and benchmarks size themselves by (hwloc). Zero where the machine does not tell.
struct STROP_API Topology {
  int packages = 1;
  int numa_nodes = 1;
  int cores = 1;
  int threads = 1;
  size_t l1d_bytes = 0;  // of one core
  size_t l2_bytes = 0;   // of one core
  size_t l3_bytes = 0;   // of one L3 domain
  int l3_sharers = 1;    // hardware threads below one L3
};

// Read once; thread safe.
STROP_API const Topology& MachineTopology();

// Where CPUs, caches, memory and GPUs lie. CPUs carry the operating system's numbers; nodes and L3 domains
// are named by their place in `nodes` and `l3s`. A plain value: tests build it from a synthetic description.
struct STROP_API Machine {
  struct Cpu {
    int id = 0;  // of the operating system
    int core = 0;
    int node = 0;
    int l3 = 0;
  };
  struct Node {
    int id = 0;  // of the operating system
    int package = 0;
    std::vector<int> cpus;
  };
  struct L3 {
    size_t bytes = 0;  // 0: not told
    std::vector<int> cpus;
  };
  struct Gpu {
    std::string address;  // of PCI, "0000:3b:00.0"
    int node = -1;        // of the operating system; -1: not told
  };

  std::vector<Cpu> cpus;  // by id
  std::vector<Node> nodes;
  std::vector<L3> l3s;                        // without one a node's CPUs count as one domain
  size_t l2_bytes = 0;                        // a core's share of the smallest L2; 0: not told
  std::vector<std::vector<double>> distance;  // between nodes as ACPI's SLIT has it, 10 at home; or empty
  std::vector<Gpu> gpus;

  const Cpu* Find(int id) const noexcept;   // null when there is none
  int NodeOf(int os_index) const noexcept;  // its place in `nodes`, -1 when there is none
  // As ACPI's SLIT, or where the machine does not tell: 10 at home, 12 in the package, 21 beyond.
  double Distance(int node_a, int node_b) const;
};

// This machine. CPUs that the cgroup's cpuset forbids are not in it. Read once; thread safe.
STROP_API const Machine& ThisMachine();

// From hwloc's synthetic language, "package:2 numa:2 l3:1(size=33554432) core:8 pu:2". Throws
// kInvalidArgument.
STROP_API Machine SyntheticMachine(const std::string& description);

// CPUs that the calling thread's affinity mask allows, ascending. How many of them may run at once is
// UsableCpus() of threads.h, which knows the cgroup's quota.
STROP_API std::vector<int> AffinityCpus();

// `count` of the `allowed` CPUs, or all when they are fewer: a thread of each core before the second of any.
STROP_API std::vector<int> CpusApart(const Machine& machine, const std::vector<int>& allowed, int count);

// Display and accelerator devices (PCI classes 0x03 and 0x12) without the boards' management controllers.
STROP_API std::vector<Machine::Gpu> ListGpus(const std::filesystem::path& devices = "/sys/bus/pci/devices");

}  // namespace strop
