#include "strop/feed/workers/probe.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

constexpr double kGain = 1.05;  // a doubling that gains less has passed the knee
constexpr double kTolerance = 0.05;

class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path)
      : path_(path), fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info {};
    if (fd_ < 0 || fstat(fd_, &info) != 0) {
      throw Error(errno == ENOENT ? Code::kNotFound : Code::kIo,
                  fmt::format("{} cannot be opened: {}", path.string(), std::strerror(errno)));
    }
    size_ = info.st_size;
  }
  OpenFile(OpenFile&& other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }

  int64_t size() const noexcept { return size_; }
  int64_t Read(int64_t offset, int64_t bytes, uint8_t* out) const {
    const ssize_t got = pread(fd_, out, static_cast<size_t>(bytes), offset);
    if (got < 0)
      throw Error(Code::kIo, fmt::format("{} cannot be read: {}", path_.string(), std::strerror(errno)));
    return got;
  }
  // Whether most of its pages are out of the cache now.
  bool Evict() const {
    posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
    if (size_ == 0) return true;
    void* const map = mmap(nullptr, static_cast<size_t>(size_), PROT_READ, MAP_SHARED, fd_, 0);
    if (map == MAP_FAILED) return false;
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> resident((static_cast<size_t>(size_) + page - 1) / page);
    const bool known = mincore(map, static_cast<size_t>(size_), resident.data()) == 0;
    munmap(map, static_cast<size_t>(size_));
    const auto held =
        std::count_if(resident.begin(), resident.end(), [](unsigned char flags) { return flags & 1; });
    return known && held * 10 < static_cast<int64_t>(resident.size());
  }

 private:
  std::filesystem::path path_;
  int fd_;
  int64_t size_ = 0;
};

struct Block {
  size_t file;
  int64_t offset;
  int64_t bytes;
};

double Measure(const std::vector<OpenFile>& files, const std::vector<Block>& blocks, int readers,
               const ProbeOptions& options) {
  using Clock = std::chrono::steady_clock;
  std::atomic<int64_t> bytes{0};
  std::exception_ptr error;
  std::atomic<bool> failed{false};
  const auto begin = Clock::now();
  const auto deadline =
      begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.seconds));
  std::vector<std::thread> threads;
  for (int r = 0; r < readers; ++r) {
    threads.emplace_back([&, r] {
      try {
        std::vector<uint8_t> buffer(static_cast<size_t>(options.block));
        // Its own run of consecutive blocks; once, so that no level reads what it read itself.
        const size_t from = blocks.size() * static_cast<size_t>(r) / static_cast<size_t>(readers);
        const size_t to = blocks.size() * static_cast<size_t>(r + 1) / static_cast<size_t>(readers);
        for (size_t i = from; i < to && Clock::now() < deadline && !failed; ++i) {
          bytes += files[blocks[i].file].Read(blocks[i].offset, blocks[i].bytes, buffer.data());
        }
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
  return static_cast<double>(bytes) / std::chrono::duration<double>(Clock::now() - begin).count();
}

void Explain(ProbeResult& result) {
  std::vector<ScalingPoint> points;
  double fastest = 0, at_knee = 0;
  for (const auto& level : result.levels) {
    points.push_back({static_cast<double>(level.readers), level.bytes_per_second});
    fastest = std::max(fastest, level.bytes_per_second);
  }
  result.knee = MeasuredKnee(points, kTolerance);
  result.scaling = FitScaling(points);
  for (const auto& level : result.levels) {
    if (level.readers == result.knee) at_knee = level.bytes_per_second;
  }
  const double peak = result.scaling.Peak();
  result.reason =
      fmt::format("{} reader{} read{} {:.0f}% of the fastest level; by the law {}", result.knee,
                  result.knee == 1 ? "" : "s", result.knee == 1 ? "s" : "", 100 * at_knee / fastest,
                  std::isinf(peak) ? std::string("more never hurt")
                                   : fmt::format("throughput falls beyond {:.0f}", peak));
}

}  // namespace

ProbeResult ProbeStorage(const std::vector<std::filesystem::path>& paths, const ProbeOptions& options,
                         const std::function<void(const ProbeLevel&)>& seen) {
  std::vector<OpenFile> files;
  std::vector<Block> blocks;
  for (const auto& path : paths) {
    files.emplace_back(path);
    for (int64_t at = 0; at < files.back().size(); at += options.block) {
      blocks.push_back({files.size() - 1, at, std::min(options.block, files.back().size() - at)});
    }
  }
  if (blocks.empty()) throw Error(Code::kInvalidArgument, "the files are empty: there is nothing to read");
  ProbeResult result;
  int flat = 0;
  for (int readers = 1; readers <= options.most_readers && flat < 2; readers *= 2) {
    for (const auto& file : files) result.cached |= !file.Evict();
    result.levels.push_back({readers, Measure(files, blocks, readers, options)});
    seen(result.levels.back());
    const size_t n = result.levels.size();
    flat = n > 1 && result.levels[n - 1].bytes_per_second < kGain * result.levels[n - 2].bytes_per_second
               ? flat + 1
               : 0;
  }
  Explain(result);
  return result;
}

}  // namespace strop::feed
