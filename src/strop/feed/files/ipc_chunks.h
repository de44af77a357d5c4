#pragma once

#include <filesystem>

#include "strop/feed/files/file_source.h"

namespace strop::feed {

// An Arrow IPC file ("Arrow Columnar Format", IPC File Format). Of a local one, uncompressed columns of fixed
// width and without nulls are read as they lie, in slices, or row by row from a mapping; all others come
// through Arrow's arrays, a record batch at a time. What the metadata of a record batch claim is checked
// against the bytes there, when the file is opened and when it is read; values are not, as there are no
// checksums.
ChunkOpener OpenIpcFile(const std::filesystem::path& path, const FileSystem& file_system);

}  // namespace strop::feed
