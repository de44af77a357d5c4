#include "strop/base/line_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "strop/base/error.h"

namespace strop {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kMaxLine = 16u << 20;

sockaddr_un AddressOf(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.empty() || text.size() >= sizeof address.sun_path) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("socket path {} has {} bytes: expected 1 to {}; choose a folder with a shorter path",
                    text, text.size(), sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  return address;
}

int NewSocket(const std::filesystem::path& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    throw Error(Code::kIo,
                fmt::format("cannot make a socket for {}: {}", path.string(), std::strerror(errno)));
  return fd;
}

int ConnectTo(int fd, const sockaddr_un& address) {
  while (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

// Waits until fd can be read, or written (POLLOUT); false on timeout. A negative timeout waits for ever.
bool WaitFor(int fd, std::chrono::milliseconds timeout, short what = POLLIN) {
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    int left = -1;
    if (timeout.count() >= 0) {
      const auto rest = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      left = static_cast<int>(std::clamp<int64_t>(rest.count(), 0, 1 << 30));
    }
    pollfd entry{fd, what, 0};
    const int ready = ::poll(&entry, 1, left);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR)
      throw Error(Code::kIo, fmt::format("cannot wait on a socket: {}", std::strerror(errno)));
    if (timeout.count() >= 0 && Clock::now() >= deadline) return false;
  }
}

}  // namespace

LineSocket::LineSocket(LineSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)),
      scanned_(std::exchange(other.scanned_, 0)) {}

LineSocket& LineSocket::operator=(LineSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(buffer_, other.buffer_);
  std::swap(scanned_, other.scanned_);
  return *this;
}

LineSocket::~LineSocket() {
  if (fd_ >= 0) ::close(fd_);
}

LineSocket LineSocket::Connect(const std::filesystem::path& path) {
  const sockaddr_un address = AddressOf(path);
  LineSocket socket(NewSocket(path));
  if (const int error = ConnectTo(socket.fd_, address); error != 0) {
    throw Error(Code::kUnavailable,
                fmt::format("nothing listens on {}: {}", path.string(), std::strerror(error)));
  }
  return socket;
}

std::optional<std::string> LineSocket::ReadLine(std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    const size_t end = buffer_.find('\n', scanned_);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      scanned_ = 0;
      return line;
    }
    scanned_ = buffer_.size();
    if (buffer_.size() > kMaxLine) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("a line on a socket is longer than {} bytes", kMaxLine));
    }
    auto left = timeout;
    if (timeout.count() >= 0) {
      left = std::max(std::chrono::milliseconds(0),
                      std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()));
    }
    if (!WaitFor(fd_, left)) {
      throw Error(Code::kTimeout, fmt::format("no line came on the socket within {} ms", timeout.count()));
    }
    char block[16384];
    const ssize_t got = ::recv(fd_, block, sizeof block, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0 || (got < 0 && (errno == ECONNRESET || errno == EPIPE))) return std::nullopt;
    if (got < 0) throw Error(Code::kIo, fmt::format("cannot read from a socket: {}", std::strerror(errno)));
    buffer_.append(block, static_cast<size_t>(got));
  }
}

void LineSocket::WriteLine(std::string_view line, std::chrono::milliseconds timeout) {
  if (line.size() > kMaxLine) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a line of {} bytes: expected at most {}", line.size(), kMaxLine));
  }
  if (line.find('\n') != std::string_view::npos) {
    throw Error(Code::kInvalidArgument,
                "a line for a socket holds a newline: expected one JSON object without");
  }
  std::string bytes(line);
  bytes += '\n';
  const auto deadline = Clock::now() + timeout;
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      const auto left = timeout.count() < 0
                            ? timeout
                            : std::max(std::chrono::milliseconds(0),
                                       std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()));
      if (WaitFor(fd_, left, POLLOUT)) continue;
      throw Error(Code::kTimeout,
                  fmt::format("a line was not taken from the socket within {} ms", timeout.count()));
    }
    if (sent < 0)
      throw Error(Code::kUnavailable, fmt::format("the peer of a socket is gone: {}", std::strerror(errno)));
    rest.remove_prefix(static_cast<size_t>(sent));
  }
}

void LineSocket::Shutdown() noexcept {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}

LineListener::LineListener(std::filesystem::path path) : path_(std::move(path)) {
  const sockaddr_un address = AddressOf(path_);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  std::error_code ignored;
  if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), ignored);
  LineSocket owner(NewSocket(path_));
  int bound = ::bind(owner.fd(), generic, sizeof address);
  if (bound != 0 && errno == EADDRINUSE) {
    struct stat info {};
    if (::lstat(path_.c_str(), &info) == 0 && !S_ISSOCK(info.st_mode)) {
      throw Error(Code::kAlreadyExists,
                  fmt::format("{} is there and is not a socket: move it away", path_.string()));
    }
    const LineSocket probe(NewSocket(path_));
    if (ConnectTo(probe.fd(), address) == 0) {
      throw Error(Code::kUnavailable,
                  fmt::format("another process listens on {}: stop it first", path_.string()));
    }
    ::unlink(path_.c_str());  // left by a process that died
    bound = ::bind(owner.fd(), generic, sizeof address);
  }
  if (bound != 0)
    throw Error(Code::kIo, fmt::format("cannot listen on {}: {}", path_.string(), std::strerror(errno)));
  ::chmod(path_.c_str(), 0600);  // before listen, so that no other user is let in
  if (::listen(owner.fd(), 64) != 0) {
    const int error = errno;
    ::unlink(path_.c_str());
    throw Error(Code::kIo, fmt::format("cannot listen on {}: {}", path_.string(), std::strerror(error)));
  }
  fd_ = ::fcntl(owner.fd(), F_DUPFD_CLOEXEC, 0);
  if (fd_ < 0)
    throw Error(Code::kIo, fmt::format("cannot listen on {}: {}", path_.string(), std::strerror(errno)));
}

LineListener::~LineListener() {
  ::close(fd_);
  ::unlink(path_.c_str());
}

std::optional<LineSocket> LineListener::Accept(std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    auto left = timeout;
    if (timeout.count() >= 0) {
      left = std::max(std::chrono::milliseconds(0),
                      std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()));
    }
    if (!WaitFor(fd_, left)) return std::nullopt;
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) return LineSocket(fd);
    if (errno == EINVAL) return std::nullopt;  // shut down
    if (errno == EINTR || errno == ECONNABORTED) continue;
    throw Error(Code::kIo, fmt::format("cannot accept on {}: {}", path_.string(), std::strerror(errno)));
  }
}

void LineListener::Shutdown() noexcept { ::shutdown(fd_, SHUT_RDWR); }

}  // namespace strop
