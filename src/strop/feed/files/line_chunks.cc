#include "strop/feed/files/line_chunks.h"

#include <arrow/buffer.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/table.h"
#include "strop/feed/files/input_file.h"
#include "strop/feed/files/line_fault.h"

namespace strop::feed {
namespace {

class LineChunks final : public ChunkFile {
 public:
  LineChunks(const std::filesystem::path& path, std::shared_ptr<const LineFormat> format,
             std::shared_ptr<const LineIndex> index)
      : path_(path), format_(std::move(format)), index_(std::move(index)), file_(path) {}

  std::vector<int64_t> ChunkRows() override {
    std::vector<int64_t> rows;
    for (const LineChunk& chunk : index_->chunks) rows.push_back(chunk.rows);
    return rows;
  }

  std::shared_ptr<arrow::Schema> FullSchema() override { return index_->schema; }

  void Project(const std::vector<data::Column>& columns) override {
    columns_ = columns;
    for (const auto& column : columns) wanted_.push_back(column.name);
  }

  void Read(int64_t chunk, int64_t, RowSink& sink) override {
    const auto table = ReadTable(chunk);
    try {
      PutTable(*table, columns_, scratch_, sink);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}, the rows from line {} on: {}", path_.string(),
                                            Chunk(chunk).line, error.what()));
    }
  }

  std::shared_ptr<arrow::Table> ReadTable(int64_t number) override {
    const LineChunk& chunk = Chunk(number);
    CheckUnchanged(path_, index_->stamp);
    auto bytes = file_.ReadAt(chunk.offset, chunk.bytes);
    data::Check(bytes.status(), "reading " + path_.string());
    auto table = format_->Parse(*bytes, *index_->schema, wanted_);
    if (!table.ok()) Fault(chunk, std::string_view(**bytes));
    if ((*table)->num_rows() != chunk.rows) {
      throw Error(Code::kCorrupt,
                  fmt::format("{}, line {} (byte {}): {} rows where there were {} when it was opened; "
                              "do not change a file while it is read",
                              path_.string(), chunk.line, chunk.offset, (*table)->num_rows(), chunk.rows));
    }
    return *table;
  }

  double TakeReadSeconds() noexcept override { return file_.TakeReadSeconds(); }

 private:
  const LineChunk& Chunk(int64_t number) const { return index_->chunks[static_cast<size_t>(number)]; }

  [[noreturn]] void Fault(const LineChunk& chunk, std::string_view text) const {
    const auto parse = [&](std::string_view rows) {
      if (rows.find_first_not_of("\r\n") == std::string_view::npos) return arrow::Status::OK();
      return format_->Parse(std::make_shared<arrow::Buffer>(rows), *index_->schema, wanted_).status();
    };
    ThrowFault(path_, *format_, chunk, text, parse,
               "it could be read when the file was opened: do not change a file while it is read");
  }

  std::filesystem::path path_;
  std::shared_ptr<const LineFormat> format_;
  std::shared_ptr<const LineIndex> index_;
  InputFile file_;
  std::vector<data::Column> columns_;
  std::vector<std::string> wanted_;
  std::vector<uint8_t> scratch_;
};

}  // namespace

std::unique_ptr<ChunkFile> OpenLineChunks(const std::filesystem::path& path,
                                          std::shared_ptr<const LineFormat> format,
                                          std::shared_ptr<const LineIndex> index) {
  return std::make_unique<LineChunks>(path, std::move(format), std::move(index));
}

}  // namespace strop::feed
