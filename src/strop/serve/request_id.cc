#include "strop/serve/request_id.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>

#include <fmt/format.h>

#include "strop/base/rng.h"

namespace strop::serve {

std::string NewRequestId() {
  static const uint64_t kProcess = [] {
    std::random_device device;
    return (uint64_t{device()} << 32) | device();
  }();
  static std::atomic<uint32_t> next{0};
  return fmt::format("{:016x}{:08x}", kProcess, next.fetch_add(1, std::memory_order_relaxed));
}

double UnitHash(std::string_view request_id, uint64_t salt) noexcept {
  uint64_t hash = MixSeed(salt, request_id.size());
  for (size_t i = 0; i < request_id.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, request_id.data() + i, std::min<size_t>(8, request_id.size() - i));
    hash = MixSeed(hash, word);
  }
  return static_cast<double>(hash >> 11) * 0x1p-53;
}

}  // namespace strop::serve
