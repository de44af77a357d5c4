#include "strop/feed/transforms/options.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "strop/base/error.h"

namespace strop::feed {

using nlohmann::json;

Options::Options(const TransformSpec& spec, std::vector<std::string> known)
    : where_(fmt::format("column {}: transform {}", spec.column, spec.name)),
      values_(json::parse(spec.options_json, nullptr, false)) {
  if (!values_.is_object()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: options {}: expected a JSON object", where_, spec.options_json));
  }
  for (const auto& [name, value] : values_.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw Error(Code::kInvalidArgument, fmt::format("{}: unknown option {}: expected one of {}", where_,
                                                      name, fmt::join(known, ", ")));
    }
  }
}

void Options::Refuse(const std::string& name, const std::string& accepted) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: option {} is missing: expected {}", where_, name, accepted));
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("{}: option {} = {}: expected {}", where_, name,
                          found->dump(-1, ' ', false, json::error_handler_t::replace), accepted));
}

const json* Options::Find(const std::string& name, bool required, const std::string& accepted) const {
  const auto found = values_.find(name);
  if (found != values_.end()) return &*found;
  if (required) Refuse(name, accepted);
  return nullptr;
}

int64_t Options::Whole(const std::string& name, int64_t low, int64_t high,
                       std::optional<int64_t> fallback) const {
  const std::string accepted = fmt::format("a whole number from {} to {}", low, high);
  const json* value = Find(name, !fallback, accepted);
  if (value == nullptr) return *fallback;
  const bool fits = value->is_number_unsigned() ? value->get<uint64_t>() <= uint64_t{INT64_MAX}
                                                : value->is_number_integer();
  if (!fits || value->get<int64_t>() < low || value->get<int64_t>() > high) Refuse(name, accepted);
  return value->get<int64_t>();
}

double Options::Number(const std::string& name, double low, double high,
                       std::optional<double> fallback) const {
  const bool bounded = high < std::numeric_limits<double>::max();
  const std::string accepted = bounded ? fmt::format("a number from {} to {}", low, high) : "a number";
  const json* value = Find(name, !fallback, accepted);
  if (value == nullptr) return *fallback;
  if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high)) {
    Refuse(name, accepted);
  }
  return value->get<double>();
}

bool Options::Flag(const std::string& name, bool fallback) const {
  const json* value = Find(name, false, "");
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) Refuse(name, "true or false");
  return value->get<bool>();
}

std::string Options::Text(const std::string& name, const std::optional<std::string>& fallback) const {
  const std::string accepted = "a text that is not empty";
  const json* value = Find(name, !fallback, accepted);
  if (value == nullptr) return *fallback;
  if (!value->is_string() || value->get_ref<const std::string&>().empty()) Refuse(name, accepted);
  return value->get<std::string>();
}

std::string Options::OneOf(const std::string& name, const std::vector<std::string>& words,
                           const std::optional<std::string>& fallback) const {
  const std::string accepted = fmt::format("one of \"{}\"", fmt::join(words, "\", \""));
  const json* value = Find(name, !fallback, accepted);
  if (value == nullptr) return *fallback;
  if (!value->is_string() || std::find(words.begin(), words.end(), *value) == words.end()) {
    Refuse(name, accepted);
  }
  return value->get<std::string>();
}

std::vector<double> Options::Numbers(const std::string& name, double above) const {
  const bool bounded = above > std::numeric_limits<double>::lowest();
  const std::string accepted = fmt::format("a number{0}, or a list of them, one a channel",
                                           bounded ? fmt::format(" above {}", above) : "");
  const json* value = Find(name, true, accepted);
  const json list = value->is_array() ? *value : json::array({*value});
  const bool good = !list.empty() && std::all_of(list.begin(), list.end(), [&](const json& number) {
    return number.is_number() && number.get<double>() > above;
  });
  if (!good) Refuse(name, accepted);
  return list.get<std::vector<double>>();
}

std::pair<double, double> Options::Range(const std::string& name, double above, double high,
                                         std::pair<double, double> fallback) const {
  const json* value = Find(name, false, "");
  if (value == nullptr) return fallback;
  const bool pair =
      value->is_array() && value->size() == 2 && (*value)[0].is_number() && (*value)[1].is_number();
  const double low = pair ? (*value)[0].get<double>() : 0;
  const double top = pair ? (*value)[1].get<double>() : 0;
  if (!pair || !(low > above && low <= top && top <= high)) {
    Refuse(name, fmt::format("[low, high] with {} < low <= high <= {}", above, high));
  }
  return {low, top};
}

}  // namespace strop::feed
