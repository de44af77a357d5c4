#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

namespace strop::feed {

// A file for one reader thread: pread into scratch buffers that are used again, so that reading a chunk
// neither asks the allocator for megabytes nor touches fresh pages; and the time it takes is known. Memory
// mapping would save this copy, but turns a file that shrinks into SIGBUS.
class InputFile : public arrow::io::RandomAccessFile {
 public:
  // Throws kNotFound or kIo naming the path.
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile() override;

  double TakeReadSeconds() noexcept;

  arrow::Status Close() override;
  bool closed() const override { return fd_ < 0; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Seek(int64_t position) override;
  arrow::Result<int64_t> GetSize() override { return size_; }
  arrow::Result<int64_t> Read(int64_t bytes, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override;
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t bytes, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t bytes) override;

 private:
  arrow::Result<std::shared_ptr<arrow::Buffer>> TakeScratch(int64_t bytes);

  int fd_ = -1;
  int64_t size_ = 0;
  int64_t position_ = 0;
  double read_seconds_ = 0;
  std::vector<std::shared_ptr<arrow::Buffer>> scratch_;
};

}  // namespace strop::feed
