#include "strop/base/file.h"

#include <atomic>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "strop/base/error.h"

namespace strop {
namespace {

[[noreturn]] void ThrowIo(std::string_view what, const std::filesystem::path& path, int error) {
  const Code code = error == ENOENT ? Code::kNotFound : Code::kIo;
  throw Error(code, fmt::format("{} {}: {}", what, path.string(), std::strerror(error)));
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

void Sync(const std::filesystem::path& path, int flags) {
  const Descriptor file(path, flags);
  if (file.get() < 0) ThrowIo("cannot open", path, errno);
  // Some file systems cannot sync a folder and say so with EINVAL.
  if (::fsync(file.get()) != 0 && errno != EINVAL) ThrowIo("cannot sync", path, errno);
}

std::filesystem::path Folder(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

std::string ReadFile(const std::filesystem::path& path) {
  const Descriptor file(path, O_RDONLY);
  if (file.get() < 0) ThrowIo("cannot read", path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) ThrowIo("cannot read", path, errno);
  if (S_ISDIR(info.st_mode)) ThrowIo("cannot read", path, EISDIR);
  std::string bytes;
  bytes.resize(static_cast<size_t>(info.st_size) + 1);  // the extra byte lets one read see the end
  size_t used = 0;
  for (;;) {
    if (used == bytes.size()) bytes.resize(bytes.size() * 2);
    const ssize_t got = ::read(file.get(), bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) ThrowIo("cannot read", path, errno);
    if (got == 0) break;
    used += static_cast<size_t>(got);
  }
  bytes.resize(used);
  return bytes;
}

std::filesystem::path TemporaryBeside(const std::filesystem::path& path) {
  static std::atomic<unsigned> counter{0};
  std::error_code error;
  std::filesystem::create_directories(Folder(path), error);
  if (error)
    throw Error(Code::kIo,
                fmt::format("cannot make the folder {}: {}", Folder(path).string(), error.message()));
  // The name ends as the target's does, because some writers choose a format by it.
  return Folder(path) / fmt::format(".{}.{}-{}.tmp{}", path.stem().string(), ::getpid(), counter++,
                                    path.extension().string());
}

void CommitFile(const std::filesystem::path& temporary, const std::filesystem::path& path) {
  Sync(temporary, O_RDONLY);
  if (::rename(temporary.c_str(), path.c_str()) != 0) ThrowIo("cannot replace", path, errno);
  Sync(Folder(path), O_RDONLY | O_DIRECTORY);
}

void WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes) {
  ReplaceFileAtomically(path, [&](const std::filesystem::path& temporary) {
    const Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file.get() < 0)
      throw Error(Code::kIo, fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(file.get(), bytes.data(), bytes.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0)
        throw Error(Code::kIo, fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
      bytes.remove_prefix(static_cast<size_t>(wrote));
    }
  });
}

std::string HashHex(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace strop
