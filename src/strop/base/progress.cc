#include "strop/base/progress.h"

#include <nlohmann/json.hpp>

namespace strop {

using nlohmann::json;

std::string Progress::ToLine() const {
  return json{{"progress", what}, {"done", done}, {"total", total}, {"note", note}}.dump(
      -1, ' ', false, json::error_handler_t::replace);
}

std::optional<Progress> Progress::FromLine(const std::string& line) {
  if (!line.starts_with('{')) return std::nullopt;
  const json read = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!read.is_object() || !read.contains("progress")) return std::nullopt;
  try {
    return Progress{read.at("progress").get<std::string>(), read.value("done", int64_t{0}),
                    read.value("total", int64_t{0}), read.value("note", "")};
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace strop
