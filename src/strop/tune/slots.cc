#include "strop/tune/slots.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string_view>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::tune {
namespace {

template <class T>
void Deal(const std::vector<T>& all, int64_t each, std::vector<Slot>& slots, std::vector<T> Slot::*member,
          std::string_view what) {
  const int64_t needed = each * static_cast<int64_t>(slots.size());
  if (needed > static_cast<int64_t>(all.size()))
    throw Error(Code::kInvalidArgument,
                fmt::format("{} trainers at a time with {} {}s each need {}: there are {}", slots.size(),
                            each, what, needed, all.size()));
  auto next = all.begin();
  for (Slot& slot : slots) {
    (slot.*member).assign(next, next + each);
    next += each;
  }
}

}  // namespace

std::vector<Slot> MakeSlots(int64_t jobs, int64_t cpus, int64_t gpus, const std::vector<int>& usable_cpus,
                            const std::vector<std::string>& visible_gpus) {
  std::vector<Slot> slots(static_cast<size_t>(jobs));
  Deal(usable_cpus, cpus, slots, &Slot::cpus, "CPU");
  Deal(visible_gpus, gpus, slots, &Slot::gpus, "GPU");
  return slots;
}

std::vector<std::string> VisibleGpus() {
  std::vector<std::string> gpus;
  if (const char* given = std::getenv("CUDA_VISIBLE_DEVICES")) {
    std::istringstream names(given);
    for (std::string name; std::getline(names, name, ',');)
      if (!name.empty()) gpus.push_back(name);
    return gpus;
  }
  std::error_code missing;
  for ([[maybe_unused]] const auto& gpu :
       std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", missing))
    gpus.push_back(std::to_string(gpus.size()));
  return gpus;
}

}  // namespace strop::tune
