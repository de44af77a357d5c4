#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strop/base/api.h"

namespace strop::tune {

// What one trainer at a time has to itself.
struct Slot {
  std::vector<int> cpus;          // of the operating system; empty: not bound
  std::vector<std::string> gpus;  // as CUDA_VISIBLE_DEVICES names them
};

// `jobs` slots of `cpus` and `gpus` each, none of either in two slots; 0: trainers share them. Throws
// kInvalidArgument when there are too few.
STROP_API std::vector<Slot> MakeSlots(int64_t jobs, int64_t cpus, int64_t gpus,
                                      const std::vector<int>& usable_cpus,
                                      const std::vector<std::string>& visible_gpus);

// The GPUs of CUDA_VISIBLE_DEVICES, or where it is not set those of the machine.
STROP_API std::vector<std::string> VisibleGpus();

}  // namespace strop::tune
