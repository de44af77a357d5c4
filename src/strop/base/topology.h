#pragma once

#include <cstddef>
#include <string>

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

}  // namespace strop
