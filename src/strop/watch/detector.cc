#include "strop/watch/detector.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"

namespace strop::watch {

std::string Verdict::ToJson() const {
  return nlohmann::json{{"score", score}, {"threshold", threshold}, {"drift", drift}, {"evidence", evidence}}
      .dump();
}

Detector::~Detector() = default;

void MmdOptions::Validate() const {
  const auto refuse = [](const char* name, int64_t value, const std::string& expected) {
    throw Error(Code::kInvalidArgument, fmt::format("{} is {}: expected {}", name, value, expected));
  };
  if (window < 2) refuse("window", window, "2 rows or more");
  if (false_alarm_rows < 2 * window) {
    refuse("false_alarm_rows", false_alarm_rows, fmt::format("at least two windows of {} rows", window));
  }
  if (features < 2 || features > 4096 || features % 2 != 0)
    refuse("features", features, "an even number from 2 to 4096");
}

}  // namespace strop::watch
