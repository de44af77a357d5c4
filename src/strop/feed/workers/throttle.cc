#include "strop/feed/workers/throttle.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

using Clock = std::chrono::steady_clock;

double SteadyNow() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }

void SteadySleep(double when) {
  std::this_thread::sleep_until(
      Clock::time_point(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(when))));
}

class ThrottledFile : public arrow::io::RandomAccessFile {
 public:
  ThrottledFile(std::shared_ptr<arrow::io::RandomAccessFile> base, std::shared_ptr<Throttle> throttle)
      : base_(std::move(base)), throttle_(std::move(throttle)) {}

  arrow::Status Close() override { return base_->Close(); }
  bool closed() const override { return base_->closed(); }
  arrow::Result<int64_t> Tell() const override { return base_->Tell(); }
  arrow::Status Seek(int64_t position) override { return base_->Seek(position); }
  arrow::Result<int64_t> GetSize() override { return base_->GetSize(); }

  arrow::Result<int64_t> Read(int64_t bytes, void* out) override {
    return Throttled(base_->Read(bytes, out));
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    return Throttled(base_->Read(bytes));
  }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t bytes, void* out) override {
    return Throttled(base_->ReadAt(position, bytes, out));
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t bytes) override {
    return Throttled(base_->ReadAt(position, bytes));
  }

 private:
  // After the read, whose length is only then known.
  arrow::Result<int64_t> Throttled(arrow::Result<int64_t> got) {
    if (got.ok()) throttle_->Wait(*got);
    return got;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Throttled(arrow::Result<std::shared_ptr<arrow::Buffer>> got) {
    if (got.ok()) throttle_->Wait((*got)->size());
    return got;
  }

  const std::shared_ptr<arrow::io::RandomAccessFile> base_;
  const std::shared_ptr<Throttle> throttle_;
};

class ThrottledFileSystem : public arrow::fs::FileSystem {
 public:
  ThrottledFileSystem(std::shared_ptr<arrow::fs::FileSystem> base, std::shared_ptr<Throttle> throttle)
      : base_(std::move(base)), throttle_(std::move(throttle)) {}

  std::string type_name() const override { return "throttled"; }
  bool Equals(const arrow::fs::FileSystem& other) const override { return this == &other; }
  arrow::Result<arrow::fs::FileInfo> GetFileInfo(const std::string& path) override {
    return base_->GetFileInfo(path);
  }
  arrow::Result<arrow::fs::FileInfoVector> GetFileInfo(const arrow::fs::FileSelector& select) override {
    return base_->GetFileInfo(select);
  }
  arrow::Status CreateDir(const std::string& path, bool recursive) override {
    return base_->CreateDir(path, recursive);
  }
  arrow::Status DeleteDir(const std::string& path) override { return base_->DeleteDir(path); }
  arrow::Status DeleteDirContents(const std::string& path, bool missing_dir_ok) override {
    return base_->DeleteDirContents(path, missing_dir_ok);
  }
  arrow::Status DeleteRootDirContents() override { return base_->DeleteRootDirContents(); }
  arrow::Status DeleteFile(const std::string& path) override { return base_->DeleteFile(path); }
  arrow::Status Move(const std::string& from, const std::string& to) override {
    return base_->Move(from, to);
  }
  arrow::Status CopyFile(const std::string& from, const std::string& to) override {
    return base_->CopyFile(from, to);
  }
  arrow::Result<std::shared_ptr<arrow::io::InputStream>> OpenInputStream(const std::string& path) override {
    return OpenInputFile(path);
  }
  arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenInputFile(
      const std::string& path) override {
    ARROW_ASSIGN_OR_RAISE(auto file, base_->OpenInputFile(path));
    return std::make_shared<ThrottledFile>(std::move(file), throttle_);
  }
  arrow::Result<std::shared_ptr<arrow::io::OutputStream>> OpenOutputStream(
      const std::string& path, const std::shared_ptr<const arrow::KeyValueMetadata>& metadata) override {
    return base_->OpenOutputStream(path, metadata);
  }
  arrow::Result<std::shared_ptr<arrow::io::OutputStream>> OpenAppendStream(
      const std::string& path, const std::shared_ptr<const arrow::KeyValueMetadata>& metadata) override {
    return base_->OpenAppendStream(path, metadata);
  }

 private:
  const std::shared_ptr<arrow::fs::FileSystem> base_;
  const std::shared_ptr<Throttle> throttle_;
};

}  // namespace

Throttle::Throttle(const ThrottleOptions& options) : Throttle(options, SteadyNow, SteadySleep) {}

Throttle::Throttle(const ThrottleOptions& options, Now now, SleepUntil sleep_until)
    : options_(options), now_(std::move(now)), sleep_until_(std::move(sleep_until)) {
  if (!(options.bytes_per_second >= 0) || !(options.latency_seconds >= 0)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a throttle of {} bytes/s and {} s: neither may be negative, "
                            "0 means none",
                            options.bytes_per_second, options.latency_seconds));
  }
}

double Throttle::Reserve(double now, int64_t bytes) {
  const double first_byte = now + options_.latency_seconds;
  if (options_.bytes_per_second <= 0) return first_byte;
  std::lock_guard lock(mutex_);
  free_at_ = std::max(free_at_, first_byte) + static_cast<double>(bytes) / options_.bytes_per_second;
  return free_at_;
}

void Throttle::Wait(int64_t bytes) { sleep_until_(Reserve(now_(), bytes)); }

std::shared_ptr<arrow::fs::FileSystem> MakeThrottledFileSystem(std::shared_ptr<arrow::fs::FileSystem> base,
                                                               std::shared_ptr<Throttle> throttle) {
  return std::make_shared<ThrottledFileSystem>(std::move(base), std::move(throttle));
}

std::shared_ptr<arrow::io::RandomAccessFile> MakeThrottledFile(
    std::shared_ptr<arrow::io::RandomAccessFile> base, std::shared_ptr<Throttle> throttle) {
  return std::make_shared<ThrottledFile>(std::move(base), std::move(throttle));
}

}  // namespace strop::feed
