#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "strop/base/api.h"

namespace strop::feed {

// What tells one state of a file from another without reading it.
struct FileStamp {
  int64_t size = 0;
  int64_t mtime_ns = 0;
  uint64_t inode = 0;

  bool operator==(const FileStamp&) const = default;
};

// Throws kNotFound or kIo naming the path.
STROP_API FileStamp StampOf(const std::filesystem::path& path);

// Throws kCorrupt naming the file when its size or time are no longer what `indexed` says. The inode is not
// asked: file systems in user space may give a file they forgot another one.
void CheckUnchanged(const std::filesystem::path& path, const FileStamp& indexed);

// What one pass over a file found out, kept from process to process under
// ${XDG_CACHE_HOME:-~/.cache}/strop/index: a user's folder of data stays as it is. `kind` names the layout of
// the payload and whatever else it depends on. An entry of another state or kind, or a damaged one, counts as
// absent. Never throws: a cache that cannot be read or written costs the pass, and a line in the debug log.
STROP_API std::optional<std::string> LoadIndex(const std::filesystem::path& path, std::string_view kind,
                                               const FileStamp& stamp) noexcept;
STROP_API void StoreIndex(const std::filesystem::path& path, std::string_view kind, const FileStamp& stamp,
                          std::string_view payload) noexcept;
STROP_API std::filesystem::path IndexPath(const std::filesystem::path& path);

// Payloads: numbers of the machine's own layout, and texts with their size before them.
class IndexWriter {
 public:
  void Put(int64_t value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void Put(std::string_view text) {
    Put(static_cast<int64_t>(text.size()));
    bytes_.append(text);
  }
  const std::string& bytes() const noexcept { return bytes_; }

 private:
  std::string bytes_;
};

// Throws kCorrupt past the end.
class STROP_API IndexReader {
 public:
  explicit IndexReader(std::string_view bytes) : rest_(bytes) {}
  int64_t Number();
  std::string_view Text();
  // A number of things that take at least `bytes` each.
  size_t Count(size_t bytes);

 private:
  std::string_view Take(size_t size);

  std::string_view rest_;
};

}  // namespace strop::feed
