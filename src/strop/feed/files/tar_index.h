#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "strop/feed/files/index_cache.h"

namespace strop::feed {

// A file of a sample.
struct TarPart {
  size_t column = 0;
  int64_t offset = 0;
  int64_t size = 0;
};

struct TarSample {
  std::string key;
  std::vector<TarPart> parts;
};

// The samples of an archive by the convention of WebDataset (github.com/webdataset/webdataset, "The
// WebDataset Format"): files that follow one another and whose path is the same up to the first dot of the
// file's name are a sample, and the rest of the name, in lower case, is the column. Files without a dot, or
// that begin with it, are passed over.
struct TarIndex {
  FileStamp stamp;
  std::vector<std::string> columns;  // those of the first sample first, in its order
  size_t first_columns = 0;          // so many of them
  std::vector<TarSample> samples;
};

// From the cache, or by going through the headers. Throws as ReadTar; kInvalidArgument when there is no
// sample; kCorrupt when one has a column twice.
std::shared_ptr<const TarIndex> IndexTar(const std::filesystem::path& path);

}  // namespace strop::feed
