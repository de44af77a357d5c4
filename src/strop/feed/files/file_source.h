#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "strop/feed/source.h"

namespace strop::feed {

// Files of one kind, laid end to end: Parquet and Arrow IPC, CSV, JSON lines, WebDataset archives, folders of
// images (file_kind.h). Footers and indexes are read once, here; readers keep a few files open each. Throws
// as KindOf and what opens the kind, and kInvalidArgument naming a file whose kind or columns differ from the
// first one's. Readers throw kCorrupt when a local file is not what it was when it was opened (asked after
// every chunk, and of rows one by one every tenth of a second), kIo when it is gone.
STROP_API std::shared_ptr<Source> OpenFiles(const std::vector<std::filesystem::path>& paths,
                                            const std::vector<std::string>& columns,
                                            const FileSystem& file_system = nullptr);

// One file, opened by one reader.
class STROP_API ChunkFile {
 public:
  virtual ~ChunkFile() = default;
  virtual std::vector<int64_t> ChunkRows() = 0;
  virtual std::shared_ptr<arrow::Schema> FullSchema() = 0;
  // Once, before Read and ReadTable; the columns are known to be there.
  virtual void Project(const std::vector<data::Column>& columns) = 0;
  // What is read when no column is named; empty: every one with a dense form.
  virtual std::vector<std::string> DefaultColumns() { return {}; }
  // As ChunkReader's; a kind that has no slices reads a chunk at once.
  virtual void Read(int64_t chunk, int64_t slice_bytes, RowSink& sink) = 0;
  virtual void ReadRows(int64_t chunk, std::span<const int64_t> rows, RowSink& sink);
  virtual std::string WhyChunksOnly() {
    return "its kind of file is encoded: rows cannot be read one by one";
  }
  virtual std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) = 0;
  virtual double TakeReadSeconds() noexcept = 0;
};

// Opens a file again for a reader. What one pass over it found out is shared. Thread safe.
using ChunkOpener = std::function<std::unique_ptr<ChunkFile>()>;

}  // namespace strop::feed
