#include "strop/feed/files/file_source.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <list>
#include <new>
#include <optional>

#include <arrow/type.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/feed/files/file_kind.h"
#include "strop/feed/files/index_cache.h"
#include "strop/feed/interrupt.h"

namespace strop::feed {
namespace {

constexpr size_t kOpenFiles = 8;  // a reader keeps so many open

// Rows one by one are read more often than a file can be looked at.
constexpr std::chrono::milliseconds kLook(100);

struct FileEntry {
  std::filesystem::path path;
  ChunkOpener open;
  std::optional<FileStamp> stamp;  // of a local one: what it was when it was opened
};

struct Layout {
  std::vector<FileEntry> files;
  std::vector<data::Column> columns;
  std::vector<std::pair<size_t, int64_t>> chunks;  // file, and chunk within it
  // Of each file: when it was last seen to be unchanged, on the steady clock.
  mutable std::vector<std::atomic<std::chrono::steady_clock::rep>> looked;
};

class FilesReader final : public ChunkReader {
 public:
  FilesReader(std::shared_ptr<const Layout> layout, int64_t slice_bytes)
      : layout_(std::move(layout)), slice_bytes_(slice_bytes) {}

  void Read(int64_t chunk, RowSink& sink) override {
    const auto [file, index] = layout_->chunks[static_cast<size_t>(chunk)];
    Guard(file, [&, file = file, index = index] {
      File(file).Read(index, slice_bytes_, sink);
      Look(file);
    });
  }
  void ReadRows(int64_t chunk, std::span<const int64_t> rows, RowSink& sink) override {
    const auto [file, index] = layout_->chunks[static_cast<size_t>(chunk)];
    Guard(file, [&, file = file, index = index] {
      File(file).ReadRows(index, rows, sink);
      LookNowAndThen(file);
    });
  }
  std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) override {
    const auto [file, index] = layout_->chunks[static_cast<size_t>(chunk)];
    std::shared_ptr<arrow::Table> table;
    Guard(file, [&, file = file, index = index] {
      table = File(file).ReadTable(index);
      Look(file);
    });
    return table;
  }
  double TakeReadSeconds() noexcept override {
    double seconds = 0;
    for (auto& [file, open] : open_) seconds += open->TakeReadSeconds();
    return seconds;
  }

 private:
  // Whatever fails is an error that names the file; that it is another one by now goes before what was found
  // wrong with its bytes.
  template <class F>
  void Guard(size_t file, F read) {
    const std::filesystem::path& path = layout_->files[file].path;
    try {
      try {
        read();
      } catch (const std::exception&) {
        Look(file);
        throw;
      }
    } catch (const Error& error) {
      if (error.code() != Code::kNotFound) throw;
      throw Error(Code::kIo, fmt::format("{} was there when it was opened and is gone: put it back, or go on "
                                         "without it by on_error = \"skip\"",
                                         path.string()));
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      throw Error(Code::kCorrupt, fmt::format("{} cannot be read: {}; write the file again, or go on without "
                                              "it by on_error = \"skip\"",
                                              path.string(), error.what()));
    }
  }

  void Look(size_t file) const {
    const FileEntry& entry = layout_->files[file];
    if (!entry.stamp) return;
    CheckUnchanged(entry.path, *entry.stamp);
    layout_->looked[file].store(Now(), std::memory_order_relaxed);
  }

  void LookNowAndThen(size_t file) const {
    const auto last = layout_->looked[file].load(std::memory_order_relaxed);
    if (Now() - last >= std::chrono::steady_clock::duration(kLook).count()) Look(file);
  }

  static std::chrono::steady_clock::rep Now() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
  }

  ChunkFile& File(size_t file) {
    const auto found =
        std::find_if(open_.begin(), open_.end(), [&](const auto& entry) { return entry.first == file; });
    if (found != open_.end()) {
      open_.splice(open_.begin(), open_, found);
    } else {
      LookNowAndThen(file);
      auto opened = layout_->files[file].open();
      opened->Project(layout_->columns);
      open_.emplace_front(file, std::move(opened));
      if (open_.size() > kOpenFiles) open_.pop_back();
    }
    return *open_.front().second;
  }

  std::shared_ptr<const Layout> layout_;
  const int64_t slice_bytes_;
  std::list<std::pair<size_t, std::unique_ptr<ChunkFile>>> open_;  // the last used first
};

class FilesSource final : public Source {
 public:
  FilesSource(const std::vector<std::filesystem::path>& paths, const std::vector<std::string>& columns,
              const FileSystem& file_system) {
    auto layout = std::make_shared<Layout>();
    FileKind first = FileKind::kTable;
    for (const auto& path : paths) {
      CheckInterrupt();
      const FileKind kind = KindOf(path);
      if (layout->files.empty()) first = kind;
      if (kind != first) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("{} is {} and {} is {}: one source has one kind of file", paths[0].string(),
                                KindName(first), path.string(), KindName(kind)));
      }
      std::optional<FileStamp> stamp;
      if (!file_system && kind != FileKind::kFolder) stamp = StampOf(path);
      FileEntry entry{path, OpenerOf(path, kind, file_system), stamp};
      const auto file = entry.open();
      const auto full = file->FullSchema();
      if (layout->files.empty()) {
        layout->columns =
            ProjectColumns(*full, columns.empty() ? file->DefaultColumns() : columns, path.string());
        arrow::FieldVector fields;
        for (const auto& column : layout->columns) fields.push_back(full->GetFieldByName(column.name));
        schema_ = arrow::schema(std::move(fields));
      } else {
        CheckSame(*layout, *full, path);
      }
      const std::vector<int64_t> rows = file->ChunkRows();
      for (size_t i = 0; i < rows.size(); ++i) {
        layout->chunks.emplace_back(layout->files.size(), static_cast<int64_t>(i));
        chunk_rows_.push_back(rows[i]);
      }
      if (stamp) CheckUnchanged(path, *stamp);
      layout->files.push_back(std::move(entry));
    }
    layout->looked = std::vector<std::atomic<std::chrono::steady_clock::rep>>(layout->files.size());
    layout_ = std::move(layout);
  }

  const std::vector<data::Column>& columns() const noexcept override { return layout_->columns; }
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  const std::vector<int64_t>& chunk_rows() const noexcept override { return chunk_rows_; }
  std::unique_ptr<ChunkReader> NewReader(int64_t slice_bytes) const override {
    return std::make_unique<FilesReader>(layout_, slice_bytes);
  }
  std::string WhyChunksOnly() const override {
    for (const FileEntry& entry : layout_->files) {
      const auto file = entry.open();
      file->Project(layout_->columns);
      if (std::string why = file->WhyChunksOnly(); !why.empty()) return why;
    }
    return {};
  }

 private:
  static void CheckSame(const Layout& layout, const arrow::Schema& schema,
                        const std::filesystem::path& path) {
    std::vector<std::string> names;
    for (const auto& column : layout.columns) names.push_back(column.name);
    const auto found = ProjectColumns(schema, names, path.string());
    for (size_t i = 0; i < found.size(); ++i) {
      const data::Column& first = layout.columns[i];
      if (found[i].dtype == first.dtype && found[i].shape == first.shape) continue;
      throw Error(
          Code::kInvalidArgument,
          fmt::format(
              "{}: column {} is {}{}, but {}{} in {}; bring them to one type, or choose other columns",
              path.string(), first.name, DTypeName(found[i].dtype), ShapeText(found[i].shape),
              DTypeName(first.dtype), ShapeText(first.shape), layout.files[0].path.string()));
    }
  }

  std::shared_ptr<const Layout> layout_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<int64_t> chunk_rows_;
};

}  // namespace

void ChunkFile::ReadRows(int64_t, std::span<const int64_t>, RowSink&) {
  throw Error(Code::kInternal, WhyChunksOnly());
}

std::shared_ptr<Source> OpenFiles(const std::vector<std::filesystem::path>& paths,
                                  const std::vector<std::string>& columns, const FileSystem& file_system) {
  return std::make_shared<FilesSource>(paths, columns, file_system);
}

}  // namespace strop::feed
