#pragma once

#include <filesystem>
#include <memory>

#include "strop/base/api.h"
#include "strop/feed/files/file_source.h"
#include "strop/feed/files/line_index.h"

namespace strop::feed {

// Index the file at once; throw as IndexLines. A .tsv is delimited by tabs.
STROP_API ChunkOpener OpenCsvFile(const std::filesystem::path& path, const LineOptions& options = {});
STROP_API ChunkOpener OpenJsonFile(const std::filesystem::path& path, const LineOptions& options = {});

// Blocks of rows of an indexed file, parsed as they are read.
std::unique_ptr<ChunkFile> OpenLineChunks(const std::filesystem::path& path,
                                          std::shared_ptr<const LineFormat> format,
                                          std::shared_ptr<const LineIndex> index);

}  // namespace strop::feed
