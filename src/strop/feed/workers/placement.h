#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/topology.h"

namespace strop::feed {

struct STROP_API PlacementRequest {
  std::vector<int> cpus;             // usable, of the operating system: AffinityCpus()
  int quota = 0;                     // how many may run at once: UsableCpus(); 0: all of them
  int workers = 1;                   // readers
  std::optional<int> consumer_cpu;   // where the consumer runs now; its core is left free when there is room
  std::optional<int> consumer_node;  // of the operating system, before the CPU's; a GPU's node stands here
};

struct STROP_API ReaderPlace {
  std::vector<int> cpus;    // that it may run on
  int node = 0;             // of the operating system: of these CPUs and of its buffers
  int l3 = 0;               // in Machine::l3s
  int64_t chunk_bytes = 0;  // what fits its caches
  bool overflow = false;    // on another node than the consumer's, which is full
};

struct STROP_API Placement {
  std::vector<ReaderPlace> readers;
  int node = 0;              // of the consumer, for the batches
  int crossing = 0;          // readers that overflow
  bool binds = false;        // false on a machine of one node: nothing is bound, the sizes count all the same
  std::string reason;        // a sentence
  std::string chunks;        // why the chunks have their size
  std::string Text() const;  // a line a reader, then the reasons
};

// Where each reader runs and keeps its memory: a pure function. The consumer's node first, its L3 first; a
// core each before second hyper-threads, the consumer's core last; the nearest other node only once the
// node's usable CPUs are taken; readers beyond all CPUs share an L3 domain of the consumer's node. The chunk
// is half of the reader's share of its L3, the other half being for the rows it copies to, or an eighth of
// its L2 where that is less; 64 KiB to 8 MiB. Throws kInvalidArgument for no workers, CPUs or nodes that the
// machine has not.
STROP_API Placement PlanPlacement(const Machine& machine, const PlacementRequest& request);

// The same for this process: its affinity, its quota, the calling thread's CPU.
STROP_API Placement PlanHere(int workers, std::optional<int> consumer_node = std::nullopt);

// Asks for every page of [data, data + bytes) on that node, moving those that are elsewhere; what else lies
// on the first and the last comes along, or a block in a heap that other threads had before would lie where
// they were. Preferred, not strict: a full node falls back to the nearest. False, with a debug log, where it
// is not permitted (containers without CAP_SYS_NICE often forbid mbind).
STROP_API bool PreferNode(void* data, size_t bytes, int node);

}  // namespace strop::feed
