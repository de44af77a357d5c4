// For bench/claims/claim_1_2.py: what slices and alignment do to decoding and normalising a column.
//   strop_feed_cache_effect FILE COLUMN PASSES CONFIGURATION…     a configuration is
//   SLICE_BYTES:MISALIGNED_BYTES
// One thread reads the file's chunks, normalises each row and writes it to a batch, as a loader's reader
// does; slice 0 is a whole chunk at once. The configurations take turns, pass by pass, in an order that
// rotates. Answers a line of JSON: seconds of every pass of each, and cache misses where the machine counts
// them.
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/feed/source.h"
#include "strop/feed/transformed_source.h"

namespace {

using nlohmann::json;
using namespace strop::feed;

// Misses of the last level of cache by this thread; empty where the kernel or the hypervisor does not tell.
class CacheMisses {
 public:
  CacheMisses() {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.config = PERF_COUNT_HW_CACHE_MISSES;
    attributes.exclude_kernel = attributes.exclude_hv = 1;
    file_ = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  }
  ~CacheMisses() {
    if (file_ >= 0) close(file_);
  }
  std::optional<int64_t> count() const {
    int64_t value = 0;
    if (file_ < 0 || read(file_, &value, sizeof value) != sizeof value) return std::nullopt;
    return value;
  }

 private:
  int file_ = -1;
};

// A loader's ring of batches: rows follow each other, whole batches are used again.
class Batches final : public RowSink {
 public:
  static constexpr int64_t kRows = 16 * 256;

  Batches(const std::vector<strop::data::Column>& columns, size_t misaligned) {
    for (const auto& column : columns) {
      row_bytes_.push_back(column.row_bytes());
      const size_t bytes = (column.row_bytes() * kRows + misaligned + 63) / 64 * 64;
      memory_.emplace_back(static_cast<uint8_t*>(std::aligned_alloc(64, bytes)), std::free);
      begin_.push_back(memory_.back().get() + misaligned);
    }
  }
  void BeginChunk(int64_t rows) { first_ = next_, next_ += rows; }
  void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) override {
    for (int64_t i = 0; i < count; ++i, values += row_bytes_[column])
      std::copy_n(values, row_bytes_[column], At(column, row + i));
  }
  void PutRagged(size_t, int64_t, const uint8_t*, size_t) override {}
  RowPlace Place(size_t column, int64_t row) override { return {At(column, row), 0, true}; }
  uint64_t Sum() const {
    uint64_t sum = 0;
    for (size_t c = 0; c < begin_.size(); ++c) {
      for (size_t i = 0; i < row_bytes_[c] * kRows; ++i) sum = sum * 31 + begin_[c][i];
    }
    return sum;
  }

 private:
  uint8_t* At(size_t column, int64_t row) const {
    return begin_[column] + static_cast<size_t>((first_ + row) % kRows) * row_bytes_[column];
  }

  std::vector<size_t> row_bytes_;
  std::vector<std::unique_ptr<uint8_t, void (*)(void*)>> memory_;
  std::vector<uint8_t*> begin_;
  int64_t first_ = 0, next_ = 0;
};

struct Configuration {
  std::string name;
  std::unique_ptr<ChunkReader> reader;
  std::unique_ptr<Batches> batches;
  std::vector<double> seconds;
  int64_t misses = 0;
};

Configuration Parse(const std::string& text, const Source& source) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos)
    throw strop::Error(strop::Code::kInvalidArgument, text + ": expected SLICE_BYTES:MISALIGNED_BYTES");
  Configuration made{text, source.NewReader(std::stoll(text.substr(0, colon))), nullptr, {}, 0};
  made.batches = std::make_unique<Batches>(source.columns(), std::stoull(text.substr(colon + 1)));
  return made;
}

int Run(int count, char** arguments) {
  if (count < 5)
    throw strop::Error(strop::Code::kInvalidArgument,
                       "expected FILE COLUMN PASSES SLICE_BYTES:MISALIGNED_BYTES…");
  const std::string column = arguments[2];
  const json normalise = {{{"column", column}, {"name", "normalise"}, {"mean", 0.5}, {"std", 2.0}}};
  const auto source =
      TransformSource(OpenSource(arguments[1], {column}), TransformSpec::ParseList(normalise.dump()));
  std::vector<Configuration> configurations;
  for (int i = 4; i < count; ++i) configurations.push_back(Parse(arguments[i], *source));
  const int passes = std::atoi(arguments[3]);
  const CacheMisses misses;
  for (int pass = 0; pass <= passes; ++pass) {
    for (size_t turn = 0; turn < configurations.size(); ++turn) {
      Configuration& one = configurations[(turn + static_cast<size_t>(pass)) % configurations.size()];
      const int64_t before = misses.count().value_or(0);
      const auto begin = std::chrono::steady_clock::now();
      for (size_t chunk = 0; chunk < source->chunk_rows().size(); ++chunk) {
        one.batches->BeginChunk(source->chunk_rows()[chunk]);
        one.reader->Read(static_cast<int64_t>(chunk), *one.batches);
      }
      if (pass == 0) continue;  // warms up
      one.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      one.misses += misses.count().value_or(0) - before;
    }
  }
  json out = json::object();
  for (const Configuration& one : configurations) {
    out[one.name] = {{"seconds", one.seconds}, {"sum", one.batches->Sum()}};
    out[one.name]["cache_misses"] = misses.count() ? json(one.misses / std::max(passes, 1)) : json();
  }
  std::cout << out.dump() << "\n";
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return Run(count, arguments);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
