#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "strop/feed/transforms/transform.h"

namespace strop::feed {

// The options of one transform, checked as they are read. Every method throws kInvalidArgument naming column,
// transform, option, value and what is accepted; without `fallback` the option is required.
class Options {
 public:
  // `known`: the names of all options; others are refused.
  Options(const TransformSpec& spec, std::vector<std::string> known);

  bool Has(const std::string& name) const { return values_.contains(name); }
  int64_t Whole(const std::string& name, int64_t low, int64_t high,
                std::optional<int64_t> fallback = std::nullopt) const;
  double Number(const std::string& name, double low, double high,
                std::optional<double> fallback = std::nullopt) const;
  bool Flag(const std::string& name, bool fallback) const;
  std::string Text(const std::string& name, const std::optional<std::string>& fallback = std::nullopt) const;
  std::string OneOf(const std::string& name, const std::vector<std::string>& words,
                    const std::optional<std::string>& fallback = std::nullopt) const;
  // One number, or a list of them that is not empty, each above `above`.
  std::vector<double> Numbers(const std::string& name, double above) const;
  // [lo, hi] with above < lo <= hi <= high.
  std::pair<double, double> Range(const std::string& name, double above, double high,
                                  std::pair<double, double> fallback) const;
  [[noreturn]] void Refuse(const std::string& name, const std::string& accepted) const;

 private:
  // Null when absent and optional.
  const nlohmann::json* Find(const std::string& name, bool required, const std::string& accepted) const;

  std::string where_;
  nlohmann::json values_;
};

}  // namespace strop::feed
