#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/feed/workers/scaling.h"

namespace strop::feed {

struct STROP_API ProbeOptions {
  double seconds = 1;       // at each number of readers
  int most_readers = 16;    // 1, 2, 4, … up to this
  int64_t block = 1 << 20;  // bytes a read
};

struct STROP_API ProbeLevel {
  int readers = 0;
  double bytes_per_second = 0;
};

struct STROP_API ProbeResult {
  std::vector<ProbeLevel> levels;
  int knee = 1;         // of the levels, the fewest readers within a twentieth of the fastest
  bool cached = false;  // the pages could not be evicted, so memory was measured and not storage
  Scaling scaling;      // the law fitted to the levels
  std::string reason;   // of the knee, a sentence
};

// Reads the files sequentially, each reader its own part of their bytes, for a bounded time at each number of
// readers; ends early once two doublings in a row gain less than a twentieth. Before each level the page
// cache is asked to drop the files. `seen` is told of each level and may throw to end the probe. Throws
// kNotFound, kIo.
STROP_API ProbeResult ProbeStorage(const std::vector<std::filesystem::path>& files,
                                   const ProbeOptions& options,
                                   const std::function<void(const ProbeLevel&)>& seen);

}  // namespace strop::feed
