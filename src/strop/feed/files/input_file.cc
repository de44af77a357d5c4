#include "strop/feed/files/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <arrow/buffer.h>
#include <arrow/filesystem/filesystem.h>
#include <arrow/result.h>
#include <arrow/status.h>
#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

constexpr size_t kScratchBuffers =
    4;  // a chunk holds two at a time: one a column, and one still being let go

// Nearer than this, two ranges are one read: what lies between them costs less than a second request.
constexpr int64_t kHole = 1 << 20;

}  // namespace

InputFile::InputFile(const std::filesystem::path& path, const FileSystem& file_system) {
  if (file_system) {
    const auto check = [&](const arrow::Status& status) {
      if (!status.ok())
        throw Error(Code::kIo, fmt::format("{} cannot be opened: {}", path.string(), status.message()));
    };
    auto file = file_system->OpenInputFile(path.string());
    check(file.status());
    remote_ = *file;
    const auto size = remote_->GetSize();
    check(size.status());
    size_ = *size;
    return;
  }
  fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd_ < 0 || fstat(fd_, &info) != 0) {
    const int error = errno;
    if (fd_ >= 0) close(fd_);
    throw Error(error == ENOENT ? Code::kNotFound : Code::kIo,
                fmt::format("{} cannot be opened: {}", path.string(), std::strerror(error)));
  }
  size_ = info.st_size;
}

InputFile::~InputFile() {
  if (fd_ >= 0) close(fd_);
}

double InputFile::TakeReadSeconds() noexcept { return std::exchange(read_seconds_, 0); }

arrow::Status InputFile::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
  return remote_ ? std::exchange(remote_, nullptr)->Close() : arrow::Status::OK();
}

arrow::Status InputFile::Seek(int64_t position) {
  position_ = position;
  return arrow::Status::OK();
}

arrow::Result<int64_t> InputFile::Read(int64_t bytes, void* out) {
  ARROW_ASSIGN_OR_RAISE(const int64_t got, ReadAt(position_, bytes, out));
  position_ += got;
  return got;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> InputFile::Read(int64_t bytes) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, bytes));
  position_ += buffer->size();
  return buffer;
}

arrow::Result<int64_t> InputFile::ReadLocal(int64_t position, int64_t bytes, void* out) {
  int64_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        pread(fd_, static_cast<char*>(out) + done, static_cast<size_t>(bytes - done), position + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return arrow::Status::IOError("reading failed: ", std::strerror(errno));
    if (got == 0) break;
    done += got;
  }
  return done;
}

arrow::Result<int64_t> InputFile::ReadAt(int64_t position, int64_t bytes, void* out) {
  const auto begin = std::chrono::steady_clock::now();
  auto done = remote_ ? remote_->ReadAt(position, bytes, out) : ReadLocal(position, bytes, out);
  read_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return done;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> InputFile::ReadAt(int64_t position, int64_t bytes) {
  // A damaged footer may ask for any number of bytes.
  const int64_t wanted = std::clamp<int64_t>(size_ - position, 0, std::max<int64_t>(bytes, 0));
  for (const Loaded& loaded : loaded_) {
    if (loaded.begin <= position && position + wanted <= loaded.begin + loaded.bytes->size())
      return arrow::SliceBuffer(loaded.bytes, position - loaded.begin, wanted);
  }
  ARROW_ASSIGN_OR_RAISE(auto buffer, TakeScratch(wanted));
  ARROW_ASSIGN_OR_RAISE(const int64_t got, ReadAt(position, wanted, buffer->mutable_data()));
  return arrow::SliceBuffer(buffer, 0, got);
}

arrow::Status InputFile::Preload(std::vector<std::pair<int64_t, int64_t>> ranges) {
  loaded_.clear();
  std::sort(ranges.begin(), ranges.end());
  for (size_t first = 0, next = 0; first < ranges.size(); first = next) {
    auto [begin, end] = ranges[first];
    for (next = first + 1; next < ranges.size() && ranges[next].first <= end + kHole; ++next)
      end = std::max(end, ranges[next].second);
    ARROW_ASSIGN_OR_RAISE(auto bytes, ReadAt(begin, end - begin));
    loaded_.push_back({begin, std::move(bytes)});
  }
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<arrow::Buffer>> InputFile::TakeScratch(int64_t bytes) {
  for (const auto& buffer : scratch_) {
    if (buffer.use_count() == 1 && buffer->size() >= bytes) return buffer;
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> fresh, arrow::AllocateBuffer(bytes + bytes / 8));
  std::erase_if(scratch_, [](const auto& buffer) { return buffer.use_count() == 1; });
  if (scratch_.size() < kScratchBuffers) scratch_.push_back(fresh);
  return fresh;
}

}  // namespace strop::feed
