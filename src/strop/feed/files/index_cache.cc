#include "strop/feed/files/index_cache.h"

#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/log.h"

namespace strop::feed {
namespace {

std::filesystem::path CacheFolder() {
  // The XDG base directory specification ignores relative values.
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && cache[0] == '/') return cache;
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    return std::filesystem::path(home) / ".cache";
  }
  return {};
}

// The first line of an entry: it is good for nothing else.
std::string EntryKey(const std::filesystem::path& path, std::string_view kind, const FileStamp& stamp) {
  return fmt::format("strop index 1 {} {} {} {} {}\n", kind, stamp.size, stamp.mtime_ns, stamp.inode,
                     HashHex(std::filesystem::absolute(path).lexically_normal().string()));
}

// Removes what processes that were killed while they wrote have left (TemporaryBeside: .NAME.PID-N.tmp.idx),
// once a folder.
void SweepTemporaries(const std::filesystem::path& folder) {
  static std::mutex mutex;
  static std::filesystem::path swept;
  {
    std::lock_guard lock(mutex);
    if (std::exchange(swept, folder) == folder) return;
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    int pid = 0;
    if (!name.ends_with(".tmp.idx") || std::sscanf(name.c_str(), ".%*32[0-9a-f].%d-", &pid) != 1) continue;
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) std::filesystem::remove(entry.path(), error);
  }
}

}  // namespace

FileStamp StampOf(const std::filesystem::path& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    throw Error(errno == ENOENT ? Code::kNotFound : Code::kIo,
                fmt::format("{} cannot be opened: {}", path.string(), std::strerror(errno)));
  }
  return {info.st_size, int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec, info.st_ino};
}

void CheckUnchanged(const std::filesystem::path& path, const FileStamp& indexed) {
  const FileStamp now = StampOf(path);
  if (now.size == indexed.size && now.mtime_ns == indexed.mtime_ns) return;
  throw Error(
      Code::kCorrupt,
      fmt::format("{} was changed while it is read ({} bytes when it was opened, {} now): open it again, "
                  "and write new data to new files",
                  path.string(), indexed.size, now.size));
}

std::filesystem::path IndexPath(const std::filesystem::path& path) {
  const std::filesystem::path folder = CacheFolder();
  if (folder.empty()) return {};
  const auto name = HashHex(std::filesystem::absolute(path).lexically_normal().string()) + ".idx";
  return folder / "strop" / "index" / name;
}

std::optional<std::string> LoadIndex(const std::filesystem::path& path, std::string_view kind,
                                     const FileStamp& stamp) noexcept {
  try {
    const std::filesystem::path entry = IndexPath(path);
    std::error_code error;
    if (entry.empty() || !std::filesystem::exists(entry, error)) return std::nullopt;
    std::string bytes = ReadFile(entry);
    const std::string key = EntryKey(path, kind, stamp);
    constexpr size_t kHash = 32;
    if (!bytes.starts_with(key) || bytes.size() < key.size() + kHash) return std::nullopt;
    const std::string_view payload = std::string_view(bytes).substr(key.size() + kHash);
    if (HashHex(payload) != std::string_view(bytes).substr(key.size(), kHash)) return std::nullopt;
    return std::string(payload);
  } catch (const std::exception& error) {
    Log("feed").debug("the index of {} cannot be read: {}", path.string(), error.what());
    return std::nullopt;
  }
}

void StoreIndex(const std::filesystem::path& path, std::string_view kind, const FileStamp& stamp,
                std::string_view payload) noexcept {
  try {
    const std::filesystem::path entry = IndexPath(path);
    if (entry.empty()) return;
    SweepTemporaries(entry.parent_path());
    WriteFileAtomically(entry, EntryKey(path, kind, stamp) + HashHex(payload) + std::string(payload));
  } catch (const std::exception& error) {
    Log("feed").debug("the index of {} is not kept: {}", path.string(), error.what());
  }
}

std::string_view IndexReader::Take(size_t size) {
  if (size > rest_.size()) throw Error(Code::kCorrupt, "an index that ends early");
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

int64_t IndexReader::Number() {
  int64_t value = 0;
  std::memcpy(&value, Take(sizeof value).data(), sizeof value);
  return value;
}

std::string_view IndexReader::Text() { return Take(Count(1)); }

size_t IndexReader::Count(size_t bytes) {
  const int64_t count = Number();
  if (count < 0 || static_cast<uint64_t>(count) > rest_.size() / bytes) {
    throw Error(Code::kCorrupt, fmt::format("an index that counts {}", count));
  }
  return static_cast<size_t>(count);
}

}  // namespace strop::feed
