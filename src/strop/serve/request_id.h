#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "strop/base/api.h"

namespace strop::serve {

// 24 hex digits, unique within the process and, by 64 random bits drawn at its start, across restarts. Thread
// safe.
STROP_API std::string NewRequestId();

// A number in [0, 1) that depends on nothing but the id and the salt: who is sampled is the same on every
// machine and after every restart, and samples of different salts are independent.
STROP_API double UnitHash(std::string_view request_id, uint64_t salt) noexcept;

}  // namespace strop::serve
