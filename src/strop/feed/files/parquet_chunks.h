#pragma once

#include <filesystem>

#include "strop/feed/files/file_source.h"

namespace strop::feed {

// A Parquet file; its footer is read once, here. Page checksums, where the file has them, are verified when a
// row group is read for the first time.
ChunkOpener OpenParquetFile(const std::filesystem::path& path, const FileSystem& file_system);

}  // namespace strop::feed
