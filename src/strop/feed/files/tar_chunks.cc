#include <algorithm>
#include <charconv>
#include <string_view>

#include <arrow/buffer.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/table.h"
#include "strop/feed/files/input_file.h"
#include "strop/feed/files/line_fault.h"
#include "strop/feed/files/sample_chunks.h"
#include "strop/feed/files/table_sink.h"
#include "strop/feed/files/tar_index.h"

namespace strop::feed {
namespace {

constexpr std::string_view kKey = "__key__";
constexpr std::string_view kClass = "cls";
constexpr size_t kNoPart = SIZE_MAX;

class TarChunks final : public ChunkFile {
 public:
  TarChunks(const std::filesystem::path& path, const SampleOptions& options,
            std::shared_ptr<const TarIndex> index)
      : path_(path), index_(std::move(index)), file_(path) {
    std::vector<int64_t> bytes;
    for (const TarSample& sample : index_->samples) {
      bytes.push_back(0);
      for (const TarPart& part : sample.parts) bytes.back() += part.size;
    }
    runs_ = CutSamples(bytes, options);
  }

  std::vector<std::string> DefaultColumns() override {
    std::vector<std::string> names{std::string(kKey)};
    const auto begin = index_->columns.begin();
    names.insert(names.end(), begin, begin + static_cast<std::ptrdiff_t>(index_->first_columns));
    return names;
  }

  std::vector<int64_t> ChunkRows() override {
    std::vector<int64_t> rows;
    for (const auto& [begin, end] : runs_) rows.push_back(static_cast<int64_t>(end - begin));
    return rows;
  }

  std::shared_ptr<arrow::Schema> FullSchema() override {
    arrow::FieldVector fields{ByteField(std::string(kKey), data::Role::kId)};
    for (const std::string& name : index_->columns) {
      fields.push_back(name == kClass ? NumberField(name, data::Role::kLabel) : ByteField(name));
    }
    return arrow::schema(std::move(fields));
  }

  void Project(const std::vector<data::Column>& columns) override {
    columns_ = columns;
    numbers_.clear();
    for (const auto& column : columns) {
      const auto found = std::find(index_->columns.begin(), index_->columns.end(), column.name);
      numbers_.push_back(
          found == index_->columns.end() ? kNoPart : static_cast<size_t>(found - index_->columns.begin()));
    }
  }

  void Read(int64_t chunk, int64_t, RowSink& sink) override {
    CheckUnchanged(path_, index_->stamp);
    const auto [first, last] = runs_[static_cast<size_t>(chunk)];
    int64_t begin = INT64_MAX, end = 0;
    for (size_t s = first; s < last; ++s) {
      for (const size_t number : numbers_) {
        if (number == kNoPart) continue;
        const TarPart& part = Part(index_->samples[s], number);
        begin = std::min(begin, part.offset);
        end = std::max(end, part.offset + part.size);
      }
    }
    std::shared_ptr<arrow::Buffer> bytes;
    if (begin < end) bytes = Load(begin, end - begin);
    for (size_t s = first; s < last; ++s) {
      PutSample(index_->samples[s], static_cast<int64_t>(s - first), bytes ? bytes->data() - begin : nullptr,
                sink);
    }
  }

  std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) override {
    TableSink sink(columns_);
    Read(chunk, 0, sink);
    return sink.Finish();
  }

  double TakeReadSeconds() noexcept override { return file_.TakeReadSeconds(); }

 private:
  const TarPart& Part(const TarSample& sample, size_t number) const {
    for (const TarPart& part : sample.parts) {
      if (part.column == number) return part;
    }
    throw Error(
        Code::kInvalidArgument,
        fmt::format("{}: sample \"{}\" has no {}: every sample has every column; add the file, or leave the "
                    "sample or the column out",
                    path_.string(), sample.key, index_->columns[number]));
  }

  std::shared_ptr<arrow::Buffer> Load(int64_t begin, int64_t size) {
    auto bytes = file_.ReadAt(begin, size);
    data::Check(bytes.status(), "reading " + path_.string());
    if ((*bytes)->size() != size) {
      throw Error(Code::kCorrupt,
                  fmt::format("{} is cut short: byte {} is beyond its end; write or copy it again",
                              path_.string(), begin + size - 1));
    }
    return *bytes;
  }

  // `archive`: where the archive's byte 0 would be.
  void PutSample(const TarSample& sample, int64_t row, const uint8_t* archive, RowSink& sink) const {
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (numbers_[c] == kNoPart) {
        sink.PutRagged(c, row, reinterpret_cast<const uint8_t*>(sample.key.data()), sample.key.size());
        continue;
      }
      const TarPart& part = Part(sample, numbers_[c]);
      const uint8_t* const values = archive + part.offset;
      const auto size = static_cast<size_t>(part.size);
      if (columns_[c].ragged()) {
        PutSampleFile(sink, c, row, values, size, path_, sample.key);
      } else {
        const int64_t number = Class(sample, {reinterpret_cast<const char*>(values), size});
        sink.Put(c, row, 1, reinterpret_cast<const uint8_t*>(&number));
      }
    }
  }

  int64_t Class(const TarSample& sample, std::string_view text) const {
    constexpr std::string_view kSpace = " \t\r\n";
    const size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
    const std::string_view digits = text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
    int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size()) return number;
    throw Error(Code::kInvalidArgument, fmt::format("{}: {}.{} is \"{}\": a class is a whole number in ASCII",
                                                    path_.string(), sample.key, kClass, Excerpt(text)));
  }

  std::filesystem::path path_;
  std::shared_ptr<const TarIndex> index_;
  InputFile file_;
  std::vector<std::pair<size_t, size_t>> runs_;
  std::vector<data::Column> columns_;
  std::vector<size_t> numbers_;  // of the columns in the index
};

}  // namespace

ChunkOpener OpenTarFile(const std::filesystem::path& path, const SampleOptions& options) {
  return
      [path, options, index = IndexTar(path)] { return std::make_unique<TarChunks>(path, options, index); };
}

}  // namespace strop::feed
