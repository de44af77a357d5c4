#include "strop/feed/files/sample_chunks.h"

#include <fmt/format.h>

#include "strop/base/error.h"

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

void PutSampleFile(RowSink& sink, size_t column, int64_t row, const uint8_t* bytes, size_t size,
                   const std::filesystem::path& path, std::string_view key) {
  try {
    sink.PutRagged(column, row, bytes, size);
  } catch (const Error& error) {
    throw Error(
        error.code(),
        fmt::format("{}{}: {}; mend it or leave it out, or let the one after it stand in by "
                    "on_error = \"skip\"",
                    path.string(), key.empty() ? "" : fmt::format(", sample \"{}\"", key), error.what()));
  }
}

}  // namespace strop::feed
