#pragma once

// Tar archives made byte by byte, as POSIX.1-1988 and GNU tar lay them out.

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace strop::feed::test {

struct TarEntry {
  std::string name;
  std::string bytes;
  char type = '0';
  std::string prefix = "";
  bool gnu = false;
  std::string size_field = "";  // in place of the octal size
};

inline std::string TarHeader(const TarEntry& entry) {
  std::string header(512, '\0');
  const auto set = [&](size_t at, std::string_view text) { header.replace(at, text.size(), text); };
  set(0, std::string_view(entry.name).substr(0, 100));
  set(100, "0000644");
  set(108, "0000000");
  set(116, "0000000");
  set(124, entry.size_field.empty() ? fmt::format("{:011o}", entry.bytes.size()) : entry.size_field);
  set(136, "00000000000");
  set(148, "        ");
  header[156] = entry.type;
  set(257, entry.gnu ? std::string_view("ustar  \0", 8) : std::string_view("ustar\00000", 8));
  set(345, entry.prefix);
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  set(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  return header;
}

inline std::string TarEntryBytes(const TarEntry& entry) {
  std::string bytes = TarHeader(entry) + entry.bytes;
  bytes.resize((bytes.size() + 511) / 512 * 512, '\0');
  return bytes;
}

inline std::string TarOf(const std::initializer_list<TarEntry>& entries) {
  std::string bytes;
  for (const TarEntry& entry : entries) bytes += TarEntryBytes(entry);
  return bytes + std::string(1024, '\0');
}

// A pax record, whose length counts its own digits.
inline std::string PaxRecord(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (fmt::format("{}", length).size() + rest != length) ++length;
  return fmt::format("{} {}={}\n", length, key, value);
}

}  // namespace strop::feed::test
