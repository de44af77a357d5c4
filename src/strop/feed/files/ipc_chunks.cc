#include "strop/feed/files/ipc_chunks.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/source_file.h"
#include "strop/feed/files/input_file.h"
#include "strop/feed/files/mapped_file.h"

namespace strop::feed {

constexpr int64_t kNotDense = -1;

struct IpcLayout {
  std::optional<MappedFile> file;  // of a local one
  std::shared_ptr<arrow::Schema> schema;
  std::vector<int64_t> rows;  // of each record batch
  std::vector<std::vector<int64_t>>
      places;  // of each record batch, field by field: its first row in the file
};

namespace {

using BatchReader = std::shared_ptr<arrow::ipc::RecordBatchFileReader>;

BatchReader OpenReader(const std::shared_ptr<arrow::io::RandomAccessFile>& file,
                       const std::filesystem::path& path, std::vector<int> fields = {}) {
  arrow::ipc::IpcReadOptions options;
  options.use_threads = false;
  options.included_fields = std::move(fields);
  auto reader = arrow::ipc::RecordBatchFileReader::Open(file, options);
  data::CheckContent(reader.status(), path);
  return *reader;
}

[[noreturn]] void ThrowUnreadable(const arrow::Status& status, int64_t chunk,
                                  const std::filesystem::path& path) {
  const std::string& message = status.message();
  throw Error(Code::kCorrupt,
              fmt::format("{}, record batch {} cannot be read: {}; write the file again, or go on "
                          "without it by on_error = \"skip\"",
                          path.string(), chunk, message.substr(0, message.find('\n'))));
}

// Whether memory holds the rows that a batch says it has: Arrow reads what the file's metadata claim, and
// the format has no checksums. Costs a few bytes a column.
std::shared_ptr<arrow::RecordBatch> ReadBatch(const BatchReader& reader, int64_t chunk,
                                              const std::filesystem::path& path) {
  auto batch = reader->ReadRecordBatch(static_cast<int>(chunk));
  arrow::Status status = batch.ok() ? (*batch)->Validate() : batch.status();
  if (status.ok()) return *batch;
  ThrowUnreadable(status, chunk, path);
}

// The same of where each row of a ragged column begins and ends. Whether text is UTF-8 is not asked of
// Parquet either.
arrow::Status ValidateRows(const arrow::Array& values) {
  switch (values.type_id()) {
    case arrow::Type::STRING: {
      ARROW_ASSIGN_OR_RAISE(const auto bytes, values.View(arrow::binary()));
      return bytes->ValidateFull();
    }
    case arrow::Type::LARGE_STRING: {
      ARROW_ASSIGN_OR_RAISE(const auto bytes, values.View(arrow::large_binary()));
      return bytes->ValidateFull();
    }
    default:
      return values.ValidateFull();
  }
}

// The field whose values are smallest: what tells a batch's rows at the least cost.
int NarrowestField(const arrow::Schema& schema) {
  const auto bits = [](const auto& field) {
    return arrow::is_fixed_width(*field->type()) ? field->type()->bit_width() : INT32_MAX;
  };
  const auto& fields = schema.fields();
  const auto found = std::min_element(fields.begin(), fields.end(),
                                      [&](const auto& a, const auto& b) { return bits(a) < bits(b); });
  return static_cast<int>(found - fields.begin());
}

// Where each field's rows lie in the file, for those that a reader may take as they lie.
std::vector<int64_t> PlacesOf(const arrow::RecordBatch& batch, const MappedFile& file) {
  std::vector<int64_t> places;
  for (const auto& column : batch.columns()) {
    const uint8_t* const rows = DenseRows(*column->data());
    const bool mapped = rows != nullptr && rows >= file.data() && rows < file.data() + file.size();
    places.push_back(mapped ? rows - file.data() : kNotDense);
  }
  return places;
}

std::shared_ptr<const IpcLayout> ReadLayout(const std::filesystem::path& path,
                                            const FileSystem& file_system) {
  auto layout = std::make_shared<IpcLayout>();
  std::shared_ptr<arrow::io::RandomAccessFile> file;
  if (file_system) {
    file = std::make_shared<InputFile>(path, file_system);
  } else {
    layout->file.emplace(path);
    file = std::make_shared<arrow::io::BufferReader>(
        std::make_shared<arrow::Buffer>(layout->file->data(), layout->file->size()));
  }
  BatchReader reader = OpenReader(file, path);
  layout->schema = reader->schema();
  const int batches = reader->num_record_batches();
  bool dense =
      layout->file.has_value();  // false: only the rows are asked for, as the bytes are compressed or far
  for (int i = 0; i < batches; ++i) {
    if (!dense && i <= 1 && layout->schema->num_fields() > 0)
      reader = OpenReader(file, path, {NarrowestField(*layout->schema)});
    const auto batch = ReadBatch(reader, i, path);
    layout->rows.push_back(batch->num_rows());
    std::vector<int64_t> places(static_cast<size_t>(layout->schema->num_fields()), kNotDense);
    if (dense) places = PlacesOf(*batch, *layout->file);
    if (batch->num_rows() > 0)
      dense = dense &&
              std::any_of(places.begin(), places.end(), [](int64_t place) { return place != kNotDense; });
    layout->places.push_back(std::move(places));
  }
  return layout;
}

class IpcChunks final : public ChunkFile {
 public:
  IpcChunks(std::filesystem::path path, FileSystem file_system, std::shared_ptr<const IpcLayout> layout)
      : path_(std::move(path)), file_system_(std::move(file_system)), layout_(std::move(layout)) {}

  std::vector<int64_t> ChunkRows() override { return layout_->rows; }
  std::shared_ptr<arrow::Schema> FullSchema() override { return layout_->schema; }

  void Project(const std::vector<data::Column>& columns) override {
    columns_ = columns;
    for (const auto& column : columns) fields_.push_back(layout_->schema->GetFieldIndex(column.name));
  }

  void Read(int64_t chunk, int64_t slice_bytes, RowSink& sink) override {
    const auto index = static_cast<size_t>(chunk);
    const int64_t rows = layout_->rows[index];
    if (rows == 0) return;
    Guard(chunk, [&] {
      bool arrays = false;
      for (size_t c = 0; c < columns_.size(); ++c) {
        const int64_t place = PlaceOf(index, c);
        if (place == kNotDense) {
          arrays = true;
        } else {
          ReadPlain(c, place, rows, slice_bytes, sink);
        }
      }
      if (arrays) PutArrays(index, sink);
    });
  }

  void ReadRows(int64_t chunk, std::span<const int64_t> rows, RowSink& sink) override {
    const auto index = static_cast<size_t>(chunk);
    Guard(chunk, [&] {
      for (size_t c = 0; c < columns_.size(); ++c)
        sink.PutRows(c, rows, layout_->file->data() + PlaceOf(index, c), columns_[c].row_bytes());
      CheckWhole();
    });
  }

  std::string WhyChunksOnly() override {
    for (size_t chunk = 0; chunk < layout_->rows.size(); ++chunk) {
      for (size_t c = 0; c < columns_.size(); ++c) {
        if (layout_->rows[chunk] == 0 || PlaceOf(chunk, c) != kNotDense) continue;
        return fmt::format("column {} of {} is compressed, holds nulls, has no fixed width, or is not local",
                           columns_[c].name, path_.string());
      }
    }
    return {};
  }

  std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) override { return Table(chunk, fields_); }

  double TakeReadSeconds() noexcept override { return file_ ? file_->TakeReadSeconds() : 0; }

 private:
  int64_t PlaceOf(size_t chunk, size_t column) const {
    return layout_->places[chunk][static_cast<size_t>(fields_[column])];
  }

  // Errors of a row, which the sink or what converts it finds, say where it is.
  template <class F>
  void Guard(int64_t chunk, F read) const {
    try {
      read();
    } catch (const Error& error) {
      if (std::string_view(error.what()).starts_with(path_.native())) throw;
      throw Error(error.code(), fmt::format("{}, record batch {}: {}", path_.string(), chunk, error.what()));
    }
  }

  void CheckWhole() const {
    if (!layout_->file->Damaged()) return;
    throw Error(Code::kIo,
                fmt::format("{} was cut short, or its disk failed, while it was read; write or copy it "
                            "again, and leave it alone while it is read",
                            path_.string()));
  }

  // Rows as they lie in the file, a slice at a time through memory that is in the cache: cheaper than the
  // page faults of a mapping.
  void ReadPlain(size_t column, int64_t place, int64_t rows, int64_t slice_bytes, RowSink& sink) {
    const auto row_bytes = static_cast<int64_t>(columns_[column].row_bytes());
    // Each read of a remote file waits for an answer.
    const bool sliced = slice_bytes > 0 && File()->local();
    const int64_t piece = sliced ? std::clamp<int64_t>(slice_bytes / row_bytes, 1, rows) : rows;
    scratch_.resize(
        static_cast<size_t>(std::max<int64_t>(piece * row_bytes, static_cast<int64_t>(scratch_.size()))));
    for (int64_t row = 0; row < rows; row += piece) {
      const int64_t count = std::min(piece, rows - row);
      const int64_t begin = place + row * row_bytes;
      const auto got = File()->ReadAt(begin, count * row_bytes, scratch_.data());
      data::Check(got.status(), "reading " + path_.string());
      if (*got < count * row_bytes) {
        throw Error(
            Code::kIo,
            fmt::format("{} ends before byte {}: it was cut short while it was read; write or copy it "
                        "again",
                        path_.string(), begin + count * row_bytes));
      }
      sink.Put(column, row, count, scratch_.data());
    }
  }

  const std::shared_ptr<InputFile>& File() {
    if (!file_) file_ = std::make_shared<InputFile>(path_, file_system_);
    return file_;
  }

  // The columns that Arrow has to decompress or convert.
  void PutArrays(size_t chunk, RowSink& sink) {
    std::vector<int> fields;
    std::vector<size_t> numbers;
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (PlaceOf(chunk, c) != kNotDense) continue;
      fields.push_back(fields_[c]);
      numbers.push_back(c);
    }
    const auto table = Table(static_cast<int64_t>(chunk), fields);
    for (const size_t c : numbers) {
      PutColumn put(sink, c, 0);
      PutTable(*table, {columns_[c]}, scratch_, put);
    }
  }

  std::shared_ptr<arrow::Table> Table(int64_t chunk, const std::vector<int>& fields) {
    if (!reader_ || reader_fields_ != fields) {
      reader_ = OpenReader(File(), path_, fields);
      reader_fields_ = fields;
    }
    const auto batch = ReadBatch(reader_, chunk, path_);
    std::vector<int> order;
    bool same = batch->num_rows() == layout_->rows[static_cast<size_t>(chunk)];
    for (const int number : fields) {
      const auto& field = layout_->schema->field(number);
      const int index = batch->schema()->GetFieldIndex(field->name());
      same = same && index >= 0 && batch->schema()->field(index)->type()->Equals(*field->type());
      order.push_back(index);
    }
    if (!same) {
      throw Error(Code::kCorrupt,
                  fmt::format("{}, record batch {} has other rows or columns than when the file was opened: "
                              "open it again, and write new data to new files",
                              path_.string(), chunk));
    }
    auto selected = batch->SelectColumns(order);
    data::Check(selected.status(), "reading " + path_.string());
    auto table = arrow::Table::FromRecordBatches({*selected});
    data::Check(table.status(), "reading " + path_.string());
    CheckRows(**table, chunk);
    return *table;
  }

  void CheckRows(const arrow::Table& table, int64_t chunk) const {
    for (const auto& column : columns_) {
      const auto values = column.ragged() ? table.GetColumnByName(column.name) : nullptr;
      if (!values) continue;
      for (const auto& array : values->chunks()) {
        if (const arrow::Status status = ValidateRows(*array); !status.ok())
          ThrowUnreadable(status, chunk, path_);
      }
    }
  }

  const std::filesystem::path path_;
  const FileSystem file_system_;
  const std::shared_ptr<const IpcLayout> layout_;
  std::shared_ptr<InputFile> file_;
  BatchReader reader_;
  std::vector<int> reader_fields_;
  std::vector<data::Column> columns_;
  std::vector<int> fields_;  // of the columns in the file
  std::vector<uint8_t> scratch_;
};

}  // namespace

ChunkOpener OpenIpcFile(const std::filesystem::path& path, const FileSystem& file_system) {
  return [path, file_system, layout = ReadLayout(path, file_system)] {
    return std::make_unique<IpcChunks>(path, file_system, layout);
  };
}

}  // namespace strop::feed
