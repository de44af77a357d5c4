#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

#include "strop/feed/open_window.h"
#include "strop/feed/scatter.h"
#include "strop/feed/source.h"

namespace strop::feed {

// Reads the segments of open windows into their batches: a chunk in block order, rows from everywhere in
// global order. One thread's; keeps the source's reader, its files and scratch memory between calls.
class SegmentReader {
 public:
  struct Spent {
    double read = 0;  // seconds
    double decode = 0;
    double copy = 0;
    int64_t skipped = 0;  // chunks that another had to stand in for
  };

  SegmentReader(std::shared_ptr<const Source> source, int64_t batch_size, OnError on_error,
                int64_t slice_bytes);

  // Throws what ChunkReader does; under OnError::kSkip only when no chunk of the source can be read.
  Spent Read(const OpenWindow& window, size_t segment);

 private:
  void ReadChunk(const OpenWindow& window, size_t segment);
  void ReadRows(const OpenWindow& window, size_t segment);
  // Runs `read` into the scatter; if that fails and may be skipped, gives rows of another chunk for rows
  // `numbers` of this one, as rows `first`, first + 1, … of the scatter.
  template <class F>
  void ReadOrSubstitute(int64_t chunk, const std::vector<int64_t>& numbers, int64_t first, Scatter& scatter,
                        F read);
  void Substitute(int64_t chunk, const std::vector<int64_t>& numbers, int64_t first, Scatter& scatter,
                  const std::exception_ptr& error);

  const std::shared_ptr<const Source> source_;
  const int64_t batch_size_;
  const OnError on_error_;
  const int64_t slice_bytes_;
  std::unique_ptr<ChunkReader> reader_;
  std::vector<int64_t> numbers_;
  std::vector<uint32_t> destinations_;
  std::vector<ScatterTarget> targets_;
  Spent spent_;
};

}  // namespace strop::feed
