#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "strop/feed/order.h"

namespace strop::feed {

// What a group gives to every epoch.
struct GroupShare {
  Group group;
  int64_t rows = 0;   // that it has
  int64_t quota = 0;  // that an epoch takes: rows, or its part by weight of as many rows as all groups have
};

// By the largest remainder where there are weights. Without groups: one of all chunks.
std::vector<GroupShare> ShareOut(const OrderOptions& options);

// Where an epoch begins in the endless stream of passes over the group's rows.
struct PassPlace {
  uint64_t pass = 0;
  int64_t row = 0;
};
PassPlace BeginOf(const GroupShare& share, uint64_t epoch) noexcept;

}  // namespace strop::feed
