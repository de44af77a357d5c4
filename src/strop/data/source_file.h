#pragma once

#include <filesystem>
#include <memory>

#include <arrow/type_fwd.h>

#include "strop/base/api.h"

namespace parquet::arrow {
class FileReader;
}

namespace strop::data {

enum class FileFormat { kParquet, kArrowFile, kArrowStream };

// By the magic bytes at both ends, never by name. Throws kNotFound; kCorrupt naming the file and whether it
// is cut short or something else altogether.
STROP_API FileFormat DetectFormat(const std::filesystem::path& path);

// Opens a Parquet file whose page checksums are verified where it has them. `threads`: whether columns are
// decoded on Arrow's thread pool. Throws as DetectFormat.
STROP_API std::unique_ptr<parquet::arrow::FileReader> OpenParquet(const std::filesystem::path& path,
                                                                  bool threads);

// As Check, for the content of a file: what Arrow finds wrong with it is kCorrupt, with the remedy.
STROP_API void CheckContent(const arrow::Status& status, const std::filesystem::path& path);

}  // namespace strop::data
