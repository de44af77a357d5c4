#include "strop/feed/mixture.h"

#include <algorithm>
#include <utility>

#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "strop/base/error.h"
#include "strop/feed/files/file_source.h"
#include "strop/feed/transformed_source.h"

namespace strop::feed {
namespace {

// The sources, and the first chunk of each.
struct Members {
  std::vector<std::shared_ptr<Source>> sources;
  std::vector<int64_t> firsts;
};

class MixedReader final : public ChunkReader {
 public:
  MixedReader(std::shared_ptr<const Members> members, int64_t slice_bytes)
      : members_(std::move(members)), slice_bytes_(slice_bytes), readers_(members_->sources.size()) {}

  void Read(int64_t chunk, RowSink& sink) override {
    const auto [reader, index] = Find(chunk);
    reader->Read(index, sink);
  }
  int64_t ReadAround(int64_t chunk, RowSink& sink) override {
    const auto [reader, index] = Find(chunk);
    return reader->ReadAround(index, sink);
  }
  void ReadRows(int64_t chunk, std::span<const int64_t> rows, RowSink& sink) override {
    const auto [reader, index] = Find(chunk);
    reader->ReadRows(index, rows, sink);
  }
  std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) override {
    const auto [reader, index] = Find(chunk);
    return reader->ReadTable(index);
  }
  double TakeReadSeconds() noexcept override {
    double seconds = 0;
    for (const auto& reader : readers_) seconds += reader ? reader->TakeReadSeconds() : 0;
    return seconds;
  }

 private:
  std::pair<ChunkReader*, int64_t> Find(int64_t chunk) {
    const auto& firsts = members_->firsts;
    const auto member =
        static_cast<size_t>(std::upper_bound(firsts.begin(), firsts.end(), chunk) - firsts.begin() - 1);
    if (!readers_[member]) readers_[member] = members_->sources[member]->NewReader(slice_bytes_);
    return {readers_[member].get(), chunk - firsts[member]};
  }

  std::shared_ptr<const Members> members_;
  const int64_t slice_bytes_;
  std::vector<std::unique_ptr<ChunkReader>> readers_;
};

class MixedSource final : public Source {
 public:
  explicit MixedSource(std::shared_ptr<Members> members) : members_(std::move(members)) {
    for (const auto& source : members_->sources) {
      members_->firsts.push_back(static_cast<int64_t>(chunk_rows_.size()));
      chunk_rows_.insert(chunk_rows_.end(), source->chunk_rows().begin(), source->chunk_rows().end());
    }
  }

  const std::vector<data::Column>& columns() const noexcept override {
    return members_->sources[0]->columns();
  }
  std::shared_ptr<arrow::Schema> schema() const override { return members_->sources[0]->schema(); }
  const std::vector<int64_t>& chunk_rows() const noexcept override { return chunk_rows_; }
  std::unique_ptr<ChunkReader> NewReader(int64_t slice_bytes) const override {
    return std::make_unique<MixedReader>(members_, slice_bytes);
  }
  void Cancel() const noexcept override {
    for (const auto& source : members_->sources) source->Cancel();
  }
  std::string WhyChunksOnly() const override {
    for (const auto& source : members_->sources) {
      if (std::string why = source->WhyChunksOnly(); !why.empty()) return why;
    }
    return {};
  }

 private:
  std::shared_ptr<Members> members_;
  std::vector<int64_t> chunk_rows_;
};

std::string Name(const SourceOptions& options) { return fmt::format("{}", fmt::join(options.uris, ", ")); }

std::shared_ptr<Source> OpenOne(const SourceOptions& options, const std::vector<std::string>& columns,
                                const FileSystem& file_system) {
  if (options.uris.empty()) {
    throw Error(Code::kInvalidArgument,
                "a source is empty: expected a path, a glob or grpc://HOST:PORT/NAME");
  }
  std::shared_ptr<Source> source;
  if (options.uris.size() == 1) {
    source = OpenSource(options.uris[0], columns, file_system);
  } else {
    std::vector<std::filesystem::path> files;
    for (const std::string& uri : options.uris) {
      const auto found = data::ResolveFiles(uri);
      files.insert(files.end(), found.begin(), found.end());
    }
    source = OpenFiles(files, columns, file_system);
  }
  return TransformSource(std::move(source), TransformSpec::ParseList(options.transforms));
}

void RequireSameColumns(const Source& first, const Source& other, const std::string& first_name,
                        const std::string& other_name) {
  const auto& wanted = first.columns();
  const auto& found = other.columns();
  for (size_t c = 0; c < std::max(wanted.size(), found.size()); ++c) {
    if (c < wanted.size() && c < found.size() && wanted[c].name == found[c].name &&
        wanted[c].dtype == found[c].dtype && wanted[c].shape == found[c].shape) {
      continue;
    }
    const auto text = [&](const std::vector<data::Column>& columns) {
      return c < columns.size() ? fmt::format("{} {}{}", columns[c].name, DTypeName(columns[c].dtype),
                                              ShapeText(columns[c].shape))
                                : std::string("nothing");
    };
    throw Error(Code::kInvalidArgument,
                fmt::format("the sources of a mixture have equal columns: {} has {} where {} has {}; choose "
                            "columns, or bring them together by transforms",
                            other_name, text(found), first_name, text(wanted)));
  }
}

}  // namespace

Mixture OpenMixture(const std::vector<SourceOptions>& sources, const std::vector<std::string>& columns,
                    const FileSystem& file_system) {
  if (sources.empty()) throw Error(Code::kInvalidArgument, "there is no source to read");
  if (sources.size() == 1) return {OpenOne(sources[0], columns, file_system), {}};
  Mixture mixture;
  auto members = std::make_shared<Members>();
  int64_t first_chunk = 0;
  const auto weighted =
      std::count_if(sources.begin(), sources.end(), [](const auto& s) { return s.weight != 0; });
  for (const SourceOptions& options : sources) {
    if (!(options.weight >= 0) || (weighted > 0 && options.weight == 0)) {
      throw Error(
          Code::kInvalidArgument,
          fmt::format("the weight of {} is {}: expected a number above 0 for each source, or none at all",
                      Name(options), options.weight));
    }
    members->sources.push_back(OpenOne(options, columns, file_system));
    const Source& source = *members->sources.back();
    RequireSameColumns(*members->sources[0], source, Name(sources[0]), Name(options));
    const auto& rows = source.chunk_rows();
    if (std::all_of(rows.begin(), rows.end(), [](int64_t n) { return n == 0; })) {
      throw Error(Code::kInvalidArgument, fmt::format("{} has no rows to mix", Name(options)));
    }
    mixture.groups.push_back({first_chunk, static_cast<int64_t>(rows.size()), options.weight});
    first_chunk += mixture.groups.back().chunks;
  }
  mixture.source = std::make_shared<MixedSource>(std::move(members));
  return mixture;
}

}  // namespace strop::feed
