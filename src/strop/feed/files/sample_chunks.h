#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
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

// Puts a sample's file. What the readers' transforms find wrong with it is an error that names it, and says
// how to go on without it. `key`: of the sample in an archive, else empty.
void PutSampleFile(RowSink& sink, size_t column, int64_t row, const uint8_t* bytes, size_t size,
                   const std::filesystem::path& path, std::string_view key);

// A WebDataset archive: the columns of its first sample; "cls" is an int64, "__key__" the sample's name, all
// else the file's bytes. Throws as IndexTar.
STROP_API ChunkOpener OpenTarFile(const std::filesystem::path& path, const SampleOptions& options = {});

// ROOT/CLASS/**/*.{jpg,jpeg,png}: the columns "image" (the file's bytes), "label" (the number of the class
// among the sorted sub-folders) and "path" (within ROOT); ROOT/*.{jpg,jpeg,png}: without "label". Names that
// begin with a dot are passed over. Throws kInvalidArgument when there is no image, or there are some beside
// the sub-folders.
STROP_API ChunkOpener OpenImageFolder(const std::filesystem::path& root, const SampleOptions& options = {});

}  // namespace strop::feed
