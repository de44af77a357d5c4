#pragma once

#include <cstdint>
#include <memory>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include "strop/feed/files/input_file.h"

namespace strop::feed {

// Bytes [begin, end) of a file as a stream that reads a page at a time, or `ahead` bytes where pages are
// smaller: what was read is still in the cache when it is decoded, however long the column is. Buffers are
// the file's scratch memory.
class ColumnStream final : public arrow::io::InputStream {
 public:
  ColumnStream(std::shared_ptr<InputFile> file, int64_t begin, int64_t end, int64_t ahead)
      : file_(std::move(file)), at_(begin), end_(end), ahead_(ahead) {}

  arrow::Status Close() override;
  bool closed() const override { return file_ == nullptr; }
  arrow::Result<int64_t> Tell() const override { return at_; }
  arrow::Result<std::string_view> Peek(int64_t bytes) override;
  arrow::Result<int64_t> Read(int64_t bytes, void* out) override;
  // Without a copy where a buffer holds them already.
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override;

 private:
  int64_t held() const noexcept { return bytes_ ? bytes_->size() - used_ : 0; }
  // Makes at least so many bytes, or all that are left, lie in the buffer from used_ on.
  arrow::Status Fill(int64_t bytes);

  std::shared_ptr<InputFile> file_;
  int64_t at_;  // of the next byte given out
  const int64_t end_;
  const int64_t ahead_;
  std::shared_ptr<arrow::Buffer> bytes_;
  int64_t used_ = 0;  // of bytes_
};

}  // namespace strop::feed
