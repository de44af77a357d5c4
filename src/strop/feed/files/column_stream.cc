#include "strop/feed/files/column_stream.h"

#include <algorithm>
#include <cstring>

#include <arrow/status.h>

namespace strop::feed {
arrow::Status ColumnStream::Close() {
  bytes_.reset();
  file_.reset();
  return arrow::Status::OK();
}

arrow::Status ColumnStream::Fill(int64_t bytes) {
  const int64_t had = held();
  const int64_t wanted = std::min(std::max(bytes, ahead_), end_ - at_);
  if (had >= std::min(bytes, wanted)) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(auto fresh, file_->TakeScratch(wanted));
  if (had > 0) std::memcpy(fresh->mutable_data(), bytes_->data() + used_, static_cast<size_t>(had));
  ARROW_ASSIGN_OR_RAISE(const int64_t got,
                        file_->ReadAt(at_ + had, wanted - had, fresh->mutable_data() + had));
  bytes_ = arrow::SliceBuffer(std::move(fresh), 0, had + got);
  used_ = 0;
  return arrow::Status::OK();
}

arrow::Result<std::string_view> ColumnStream::Peek(int64_t bytes) {
  ARROW_RETURN_NOT_OK(Fill(bytes));
  const int64_t given = std::min(bytes, held());
  return std::string_view(reinterpret_cast<const char*>(bytes_ ? bytes_->data() + used_ : nullptr),
                          static_cast<size_t>(given));
}

arrow::Result<std::shared_ptr<arrow::Buffer>> ColumnStream::Read(int64_t bytes) {
  ARROW_RETURN_NOT_OK(Fill(bytes));
  const int64_t given = std::min(bytes, held());
  if (given == 0) return std::make_shared<arrow::Buffer>(nullptr, 0);
  auto slice = arrow::SliceBuffer(bytes_, used_, given);
  used_ += given;
  at_ += given;
  return slice;
}

arrow::Result<int64_t> ColumnStream::Read(int64_t bytes, void* out) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, Read(bytes));
  if (buffer->size() > 0) std::memcpy(out, buffer->data(), static_cast<size_t>(buffer->size()));
  return buffer->size();
}

}  // namespace strop::feed
