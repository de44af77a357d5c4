#include "strop/feed/files/line_fault.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

constexpr size_t kExcerpt = 80;

// Arrow counts the rows of what it was given, which are not those of the file.
std::string WithoutRow(const std::string& message) {
  std::string line = message.substr(0, message.find('\n'));
  line.resize(std::min(line.size(), line.rfind(" in row ")));
  if (const size_t row = line.find("Row #"); row != std::string::npos)
    line.erase(row, std::min(line.find(": ", row), line.size() - 2) + 2 - row);
  return line;
}

}  // namespace

std::string Excerpt(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  std::string shown;
  for (const char c : text.substr(0, kExcerpt)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      shown += c;
    } else {
      shown += fmt::format("\\x{:02x}", byte);
    }
  }
  if (text.size() > kExcerpt) shown += "...";
  return shown;
}

void ThrowFault(const std::filesystem::path& path, const LineFormat& format, const LineChunk& chunk,
                std::string_view text, const std::function<arrow::Status(std::string_view)>& parse,
                std::string_view remedy) {
  std::vector<size_t> ends;
  for (size_t at = 0; at < text.size();) {
    at = std::min(format.RowEnd(text, at, true), text.size());
    ends.push_back(at);
  }
  // The rows before the first faulty one parse, with it they do not.
  const auto faulty = std::partition_point(ends.begin(), ends.end(),
                                           [&](size_t end) { return parse(text.substr(0, end)).ok(); });
  if (faulty == ends.end()) {
    throw Error(Code::kCorrupt, fmt::format("{}, line {}: {} that cannot be parsed as a whole; {}",
                                            path.string(), chunk.line, format.name(), remedy));
  }
  const size_t begin = faulty == ends.begin() ? 0 : *(faulty - 1);
  const std::string_view row = text.substr(begin, *faulty - begin);
  const auto line =
      chunk.line + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(begin), '\n');
  // Alone, a row may be sound: a value of another kind than those before it.
  arrow::Status status = parse(row);
  if (status.ok()) status = parse(text.substr(0, *faulty));
  throw Error(Code::kCorrupt, fmt::format("{}, line {} (byte {}): {}: \"{}\"; {}", path.string(), line,
                                          chunk.offset + static_cast<int64_t>(begin),
                                          WithoutRow(status.message()), Excerpt(row), remedy));
}

}  // namespace strop::feed
