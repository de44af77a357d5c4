#include "strop/base/topology.h"

#include <algorithm>

#include <hwloc.h>
#include <unistd.h>

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

}  // namespace

const Topology& MachineTopology() {
  static const Topology topology = Detect();
  return topology;
}

}  // namespace strop
