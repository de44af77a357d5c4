#pragma once

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include "strop/feed/loader.h"

namespace strop::feed {

// A file for one reader thread: read into scratch buffers that are used again, so that reading a chunk
// neither asks the allocator for megabytes nor touches fresh pages; and the time it takes is known.
class InputFile : public arrow::io::RandomAccessFile {
 public:
  // Throws kNotFound or kIo naming the path.
  explicit InputFile(const std::filesystem::path& path, const FileSystem& file_system = nullptr);
  ~InputFile() override;

  double TakeReadSeconds() noexcept;
  // Whether a read costs little to begin, so that small ones are no worse than large ones.
  bool local() const noexcept { return remote_ == nullptr; }
  // Reads these [begin, end) ahead, those that lie close together by one read. Until the next call ReadAt
  // inside them is served from memory.
  arrow::Status Preload(std::vector<std::pair<int64_t, int64_t>> ranges);

  arrow::Status Close() override;
  bool closed() const override { return fd_ < 0 && !remote_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Seek(int64_t position) override;
  arrow::Result<int64_t> GetSize() override { return size_; }
  arrow::Result<int64_t> Read(int64_t bytes, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override;
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t bytes, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t bytes) override;
  // At least so many bytes that nobody else holds.
  arrow::Result<std::shared_ptr<arrow::Buffer>> TakeScratch(int64_t bytes);

 private:
  struct Loaded {
    int64_t begin = 0;
    std::shared_ptr<arrow::Buffer> bytes;
  };

  arrow::Result<int64_t> ReadLocal(int64_t position, int64_t bytes, void* out);

  int fd_ = -1;
  std::shared_ptr<arrow::io::RandomAccessFile> remote_;
  int64_t size_ = 0;
  int64_t position_ = 0;
  double read_seconds_ = 0;
  std::vector<std::shared_ptr<arrow::Buffer>> scratch_;
  std::vector<Loaded> loaded_;
};

}  // namespace strop::feed
