#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "strop/base/api.h"

namespace strop {

// One end of a Unix stream socket that carries lines (JSON, one object a line). Movable; one reader and one
// writer thread at a time. A line is at most 16 MiB; a longer one throws kInvalidArgument.
class STROP_API LineSocket {
 public:
  LineSocket() = default;
  explicit LineSocket(int fd) noexcept : fd_(fd) {}
  LineSocket(LineSocket&& other) noexcept;
  LineSocket& operator=(LineSocket&& other) noexcept;
  ~LineSocket();

  // Throws kUnavailable naming the path when nothing listens.
  static LineSocket Connect(const std::filesystem::path& path);

  // The next line without its newline; nullopt when the peer has closed (a last line without newline is
  // dropped: its writer died). Throws kTimeout after `timeout` (negative: none), having lost no bytes.
  std::optional<std::string> ReadLine(std::chrono::milliseconds timeout = std::chrono::milliseconds(-1));
  // Throws kUnavailable when the peer is gone, kTimeout when it has not read enough within `timeout`
  // (negative: none), after which the socket is of no use; never raises SIGPIPE.
  void WriteLine(std::string_view line, std::chrono::milliseconds timeout = std::chrono::milliseconds(-1));
  // Wakes a ReadLine of another thread, which then answers nullopt.
  void Shutdown() noexcept;
  int fd() const noexcept { return fd_; }

 private:
  int fd_ = -1;
  std::string buffer_;
  size_t scanned_ = 0;  // bytes of buffer_ known to hold no newline
};

// A listening Unix socket; its file is removed on destruction. A path longer than the kernel takes (107
// bytes) throws kInvalidArgument; one on which something listens throws kUnavailable; a stale file is
// replaced. Only this user can connect.
class STROP_API LineListener {
 public:
  explicit LineListener(std::filesystem::path path);
  LineListener(const LineListener&) = delete;
  LineListener& operator=(const LineListener&) = delete;
  ~LineListener();

  // nullopt after `timeout`, or when Shutdown was called.
  std::optional<LineSocket> Accept(std::chrono::milliseconds timeout);
  void Shutdown() noexcept;
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace strop
