#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "strop/base/api.h"
#include "strop/feed/files/index_cache.h"
#include "strop/feed/files/line_format.h"

namespace strop::feed {

struct LineOptions {
  int64_t block_bytes = 1 << 20;  // a chunk ends at the first row border from here on
  int64_t row_limit = 256 << 20;  // a longer row is taken for a quote that was left open
};

// Whole rows that are read and parsed at once.
struct LineChunk {
  int64_t offset = 0;
  int64_t bytes = 0;
  int64_t rows = 0;
  int64_t line = 0;  // of the first row in the file, from 1

  bool operator==(const LineChunk&) const = default;
};

// What one pass over a CSV or JSON lines file finds out: where its chunks lie, and types that hold for every
// row.
struct LineIndex {
  FileStamp stamp;
  std::vector<LineChunk> chunks;
  std::shared_ptr<arrow::Schema> schema;
};

// Reads the file, or what an earlier pass left in the cache. Throws kNotFound, kIo; kInvalidArgument when
// there are no rows; kCorrupt naming file, line, byte and value of what cannot be parsed.
STROP_API std::shared_ptr<const LineIndex> IndexLines(const std::filesystem::path& path,
                                                      const LineFormat& format, const LineOptions& options);

// The type that values of both fit: null < int64 < double; a date < a timestamp; lists and structs by their
// elements. Without one: text where `all_text`, else null.
STROP_API std::shared_ptr<arrow::DataType> CommonType(const std::shared_ptr<arrow::DataType>& a,
                                                      const std::shared_ptr<arrow::DataType>& b,
                                                      bool all_text);

}  // namespace strop::feed
