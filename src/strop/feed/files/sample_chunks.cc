#include "strop/feed/files/sample_chunks.h"

namespace strop::feed {

std::vector<std::pair<size_t, size_t>> CutSamples(const std::vector<int64_t>& bytes,
                                                  const SampleOptions& options) {
  std::vector<std::pair<size_t, size_t>> runs;
  for (size_t begin = 0; begin < bytes.size();) {
    size_t end = begin + 1;
    int64_t sum = bytes[begin];
    while (end < bytes.size() && static_cast<int64_t>(end - begin) < options.chunk_samples &&
           sum + bytes[end] <= options.chunk_bytes) {
      sum += bytes[end++];
    }
    runs.emplace_back(begin, end);
    begin = end;
  }
  return runs;
}

}  // namespace strop::feed
