#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/source_file.h"
#include "strop/feed/files/file_source.h"
#include "strop/feed/files/input_file.h"

namespace strop::feed {
namespace {

class IpcChunks final : public ChunkFile {
 public:
  explicit IpcChunks(const std::filesystem::path& path)
      : path_(path), file_(std::make_shared<InputFile>(path)) {
    arrow::ipc::IpcReadOptions options;
    options.use_threads = false;
    Open(options);
  }

  std::vector<int64_t> ChunkRows() override {
    std::vector<int64_t> rows;
    for (int i = 0; i < reader_->num_record_batches(); ++i) rows.push_back(Batch(i)->num_rows());
    return rows;
  }

  std::shared_ptr<arrow::Schema> FullSchema() override { return reader_->schema(); }

  void Project(const std::vector<data::Column>& columns) override {
    columns_ = columns;
    arrow::ipc::IpcReadOptions options;
    options.use_threads = false;
    for (const auto& column : columns)
      options.included_fields.push_back(reader_->schema()->GetFieldIndex(column.name));
    Open(options);
  }

  void Read(int64_t chunk, RowSink& sink) override { PutTable(*ReadTable(chunk), columns_, scratch_, sink); }

  std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) override {
    auto table = arrow::Table::FromRecordBatches({Batch(static_cast<int>(chunk))});
    data::Check(table.status(), "reading " + path_.string());
    std::vector<int> order;
    for (const auto& column : columns_) order.push_back((*table)->schema()->GetFieldIndex(column.name));
    auto selected = (*table)->SelectColumns(order);
    data::Check(selected.status(), "reading " + path_.string());
    return *selected;
  }

  double TakeReadSeconds() noexcept override { return file_->TakeReadSeconds(); }

 private:
  void Open(const arrow::ipc::IpcReadOptions& options) {
    auto reader = arrow::ipc::RecordBatchFileReader::Open(file_, options);
    data::CheckContent(reader.status(), path_);
    reader_ = *reader;
  }

  std::shared_ptr<arrow::RecordBatch> Batch(int chunk) {
    auto batch = reader_->ReadRecordBatch(chunk);
    if (!batch.ok()) {
      throw Error(Code::kCorrupt,
                  fmt::format("{}, record batch {} cannot be read: {}; write the file again, or go on "
                              "without it by on_error = \"skip\"",
                              path_.string(), chunk, batch.status().message()));
    }
    return *batch;
  }

  std::filesystem::path path_;
  std::shared_ptr<InputFile> file_;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> reader_;
  std::vector<data::Column> columns_;
  std::vector<uint8_t> scratch_;
};

}  // namespace

std::unique_ptr<ChunkFile> OpenIpcChunks(const std::filesystem::path& path) {
  return std::make_unique<IpcChunks>(path);
}

}  // namespace strop::feed
