#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "strop/base/api.h"

namespace strop {

// How far a piece of work is. A process whose environment has STROP_PROGRESS=json tells the one that started
// it, by lines on stderr among its other lines: {"progress": "tune", "done": 3, "total": 12, "note": "best
// 0.8"}.
struct STROP_API Progress {
  std::string what;
  int64_t done = 0;
  int64_t total = 0;  // <= 0: unknown
  std::string note;

  std::string ToLine() const;  // without the newline
  // nullopt for any other line.
  static std::optional<Progress> FromLine(const std::string& line);
};

inline constexpr const char* kProgressVariable = "STROP_PROGRESS";

}  // namespace strop
