#include <algorithm>
#include <cctype>
#include <string>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/table.h"
#include "strop/feed/files/input_file.h"
#include "strop/feed/files/sample_chunks.h"
#include "strop/feed/files/table_sink.h"
#include "strop/feed/interrupt.h"

namespace strop::feed {
namespace {

namespace fs = std::filesystem;

struct ImageFile {
  fs::path path;
  int64_t label = 0;
  int64_t bytes = 0;
};

struct FolderIndex {
  fs::path root;
  bool labelled = false;
  std::vector<ImageFile> files;
};

bool IsImage(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

bool Hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

void AddImages(const fs::path& folder, int64_t label, std::vector<ImageFile>& files) {
  const size_t first = files.size();
  for (auto entry = fs::recursive_directory_iterator(folder); entry != fs::recursive_directory_iterator();
       ++entry) {
    CheckInterrupt();
    if (Hidden(entry->path())) {
      entry.disable_recursion_pending();
    } else if (IsImage(entry->path()) && entry->is_regular_file()) {
      files.push_back({entry->path(), label, static_cast<int64_t>(entry->file_size())});
    }
  }
  std::sort(files.begin() + static_cast<std::ptrdiff_t>(first), files.end(),
            [](const ImageFile& a, const ImageFile& b) { return a.path.native() < b.path.native(); });
}

FolderIndex ListFolder(const fs::path& root) {
  FolderIndex index{root, false, {}};
  std::vector<fs::path> classes;
  fs::path loose;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (Hidden(entry.path())) continue;
    if (entry.is_directory()) classes.push_back(entry.path());
    if (IsImage(entry.path()) && entry.is_regular_file() && (loose.empty() || entry.path() < loose)) {
      loose = entry.path();
    }
  }
  if (!classes.empty() && !loose.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} lies beside sub-folders, which are classes: move it into one of them, or the "
                            "sub-folders away",
                            loose.string()));
  }
  std::sort(classes.begin(), classes.end());
  index.labelled = !classes.empty();
  for (size_t i = 0; i < classes.size(); ++i) AddImages(classes[i], static_cast<int64_t>(i), index.files);
  if (classes.empty()) AddImages(root, 0, index.files);
  if (index.files.empty()) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("{} is a folder without images: expected {}/CLASS/*.jpg, .jpeg or .png; files of rows "
                    "are named as in \"{}/*.parquet\"",
                    root.string(), root.string(), root.string()));
  }
  return index;
}

class FolderChunks final : public ChunkFile {
 public:
  FolderChunks(std::shared_ptr<const FolderIndex> index, const SampleOptions& options)
      : index_(std::move(index)) {
    std::vector<int64_t> bytes;
    for (const ImageFile& file : index_->files) bytes.push_back(file.bytes);
    runs_ = CutSamples(bytes, options);
  }

  std::vector<std::string> DefaultColumns() override { return FullSchema()->field_names(); }

  std::vector<int64_t> ChunkRows() override {
    std::vector<int64_t> rows;
    for (const auto& [begin, end] : runs_) rows.push_back(static_cast<int64_t>(end - begin));
    return rows;
  }

  std::shared_ptr<arrow::Schema> FullSchema() override {
    arrow::FieldVector fields{ByteField("image", data::Role::kInput)};
    if (index_->labelled) fields.push_back(NumberField("label", data::Role::kLabel));
    fields.push_back(ByteField("path", data::Role::kId));
    return arrow::schema(std::move(fields));
  }

  void Project(const std::vector<data::Column>& columns) override { columns_ = columns; }

  void Read(int64_t chunk, int64_t, RowSink& sink) override {
    const auto [first, last] = runs_[static_cast<size_t>(chunk)];
    for (size_t i = first; i < last; ++i) PutFile(index_->files[i], static_cast<int64_t>(i - first), sink);
  }

  std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) override {
    TableSink sink(columns_);
    Read(chunk, 0, sink);
    return sink.Finish();
  }

  double TakeReadSeconds() noexcept override { return std::exchange(read_seconds_, 0); }

 private:
  void PutFile(const ImageFile& file, int64_t row, RowSink& sink) {
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (columns_[c].name == "label") {
        sink.Put(c, row, 1, reinterpret_cast<const uint8_t*>(&file.label));
      } else if (columns_[c].name == "path") {
        const std::string path = file.path.lexically_relative(index_->root).generic_string();
        sink.PutRagged(c, row, reinterpret_cast<const uint8_t*>(path.data()), path.size());
      } else {
        PutImage(file, c, row, sink);
      }
    }
  }

  void PutImage(const ImageFile& image, size_t column, int64_t row, RowSink& sink) {
    try {
      InputFile file(image.path);
      bytes_.resize(static_cast<size_t>(*file.GetSize()));
      const auto got = file.ReadAt(0, static_cast<int64_t>(bytes_.size()), bytes_.data());
      data::Check(got.status(), "reading " + image.path.string());
      read_seconds_ += file.TakeReadSeconds();
      PutSampleFile(sink, column, row, bytes_.data(), static_cast<size_t>(*got), image.path, {});
    } catch (const Error& error) {
      if (error.code() != Code::kNotFound) throw;
      throw Error(Code::kIo,
                  fmt::format("{} was there when its folder was listed and is gone: put it back, or open "
                              "the folder again",
                              image.path.string()));
    }
  }

  std::shared_ptr<const FolderIndex> index_;
  std::vector<std::pair<size_t, size_t>> runs_;
  std::vector<data::Column> columns_;
  std::vector<uint8_t> bytes_;
  double read_seconds_ = 0;
};

}  // namespace

ChunkOpener OpenImageFolder(const std::filesystem::path& root, const SampleOptions& options) {
  try {
    const auto index = std::make_shared<const FolderIndex>(ListFolder(root));
    return [index, options] { return std::make_unique<FolderChunks>(index, options); };
  } catch (const fs::filesystem_error& error) {
    const fs::path& locked = error.path1().empty() ? root : error.path1();
    throw Error(Code::kIo, fmt::format("{} cannot be listed: {}", locked.string(), error.code().message()));
  }
}

}  // namespace strop::feed
