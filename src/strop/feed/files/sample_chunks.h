#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

#include "strop/base/api.h"
#include "strop/feed/files/file_source.h"

namespace strop::feed {

struct SampleOptions {
  int64_t chunk_bytes = 1 << 20;  // a chunk ends where another sample would pass this
  int64_t chunk_samples = 256;
};

// Runs of consecutive samples, begin and end of each.
std::vector<std::pair<size_t, size_t>> CutSamples(const std::vector<int64_t>& bytes,
                                                  const SampleOptions& options);

// A WebDataset archive: the columns of its first sample; "cls" is an int64, "__key__" the sample's name, all
// else the file's bytes. Throws as IndexTar.
STROP_API ChunkOpener OpenTarFile(const std::filesystem::path& path, const SampleOptions& options = {});

// ROOT/CLASS/**/*.{jpg,jpeg,png}: the columns "image" (the file's bytes), "label" (the number of the class
// among the sorted sub-folders) and "path" (within ROOT); ROOT/*.{jpg,jpeg,png}: without "label". Names that
// begin with a dot are passed over. Throws kInvalidArgument when there is no image, or there are some beside
// the sub-folders.
STROP_API ChunkOpener OpenImageFolder(const std::filesystem::path& root, const SampleOptions& options = {});

}  // namespace strop::feed
