#pragma once

#include <filesystem>
#include <string_view>

#include "strop/feed/files/file_source.h"

namespace strop::feed {

enum class FileKind { kTable, kCsv, kJson, kTar, kFolder };

// "CSV", for errors.
std::string_view KindName(FileKind kind) noexcept;

// A folder is one of images; .csv, .tsv, .jsonl, .ndjson, .json and .tar say themselves what they are, in any
// case; Parquet and Arrow IPC are known by their magic bytes. Throws as data::DetectFormat, with all that is
// accepted; kUnsupported for an Arrow IPC stream.
FileKind KindOf(const std::filesystem::path& path);

// Indexes the file, for opening it as often as readers need it. Throws kUnsupported for a kind that is read
// from local files only, when there is a file system.
ChunkOpener OpenerOf(const std::filesystem::path& path, FileKind kind, const FileSystem& file_system);

}  // namespace strop::feed
