#include "strop/feed/files/parquet_chunks.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include "strop/base/error.h"
#include "strop/data/source_file.h"
#include "strop/feed/files/column_stream.h"
#include "strop/feed/files/input_file.h"
#include "strop/feed/files/parquet_column.h"

namespace strop::feed {
namespace {

// What opening a file again can spare. Thread safe.
struct FileFooter {
  std::shared_ptr<parquet::FileMetaData> metadata;
  std::vector<std::atomic<bool>> sound;  // a row group whose checksums were verified once
};

constexpr int64_t kReadAhead = 64 << 10;  // a page's header alone asks for 16 KiB

// How a column of the projection is read.
struct Plan {
  std::optional<PlainColumn> plain;
  const data::Column* column = nullptr;
  std::vector<int> leaves;  // of a column that is not plain: through Arrow's arrays
};

void CollectLeaves(const parquet::arrow::SchemaField& field, std::vector<int>& leaves) {
  if (field.is_leaf()) leaves.push_back(field.column_index);
  for (const auto& child : field.children) CollectLeaves(child, leaves);
}

// Bytes [begin, end) of a column chunk.
std::pair<int64_t, int64_t> ChunkRange(const parquet::ColumnChunkMetaData& chunk) {
  int64_t begin = chunk.data_page_offset();
  if (chunk.has_dictionary_page() && chunk.dictionary_page_offset() > 0)
    begin = std::min(begin, chunk.dictionary_page_offset());
  return {begin, begin + chunk.total_compressed_size()};
}

class ParquetChunks final : public ChunkFile {
 public:
  ParquetChunks(const std::filesystem::path& path, const FileSystem& file_system,
                std::shared_ptr<FileFooter>* footer)
      : path_(path), file_(std::make_shared<InputFile>(path, file_system)) {
    if (!*footer) {
      auto fresh = std::make_shared<FileFooter>();
      OpenReader(true, nullptr);
      fresh->metadata = readers_[true]->parquet_reader()->metadata();
      fresh->sound = std::vector<std::atomic<bool>>(static_cast<size_t>(fresh->metadata->num_row_groups()));
      *footer = std::move(fresh);
    }
    footer_ = *footer;
  }

  std::vector<int64_t> ChunkRows() override {
    std::vector<int64_t> rows;
    for (int i = 0; i < footer_->metadata->num_row_groups(); ++i) {
      rows.push_back(footer_->metadata->RowGroup(i)->num_rows());
    }
    return rows;
  }

  std::shared_ptr<arrow::Schema> FullSchema() override {
    std::shared_ptr<arrow::Schema> schema;
    data::CheckContent(Reader(true).GetSchema(&schema), path_);
    return schema;
  }

  void Project(const std::vector<data::Column>& columns) override {
    const auto schema = FullSchema();
    const auto& manifest = Reader(true).manifest();
    for (const data::Column& column : columns) {
      const int index = schema->GetFieldIndex(column.name);
      const auto& field = manifest.schema_fields[static_cast<size_t>(index)];
      Plan plan;
      plan.column = &column;
      CollectLeaves(field, plan.leaves);
      all_leaves_.insert(all_leaves_.end(), plan.leaves.begin(), plan.leaves.end());
      if (plan.leaves.size() == 1) {
        plan.plain = AsPlainColumn(column, *schema->field(index)->type(), plan.leaves[0],
                                   *manifest.descr->Column(plan.leaves[0]));
      }
      plans_.push_back(std::move(plan));
    }
  }

  void Read(int64_t chunk, int64_t slice_bytes, RowSink& sink) override {
    Guard(chunk, [&](parquet::arrow::FileReader& reader, bool verify) {
      const int index = static_cast<int>(chunk);
      const auto group = reader.parquet_reader()->RowGroup(index);
      if (!file_->local()) Preload(*group->metadata());
      for (size_t c = 0; c < plans_.size(); ++c) {
        if (plans_[c].plain) {
          plain_.Read(*OpenColumn(*group, plans_[c].plain->leaf, slice_bytes, verify), *plans_[c].plain, c,
                      group->metadata()->num_rows(), slice_bytes, sink);
        } else {
          ReadArrays(reader, index, c, slice_bytes, sink);
        }
      }
    });
  }

  std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) override {
    std::shared_ptr<arrow::Table> result;
    Guard(chunk, [&](parquet::arrow::FileReader& reader, bool) {
      auto table = reader.ReadRowGroup(static_cast<int>(chunk), all_leaves_);
      data::CheckContent(table.status(), path_);
      std::vector<int> order;
      for (const Plan& plan : plans_) order.push_back((*table)->schema()->GetFieldIndex(plan.column->name));
      auto selected = (*table)->SelectColumns(order);
      data::Check(selected.status(), "reading " + path_.string());
      result = *selected;
    });
    return result;
  }

  double TakeReadSeconds() noexcept override { return file_->TakeReadSeconds(); }

 private:
  static parquet::ReaderProperties Properties(bool verify) {
    parquet::ReaderProperties properties = parquet::default_reader_properties();
    properties.set_page_checksum_verification(verify);
    return properties;
  }

  void OpenReader(bool verify, std::shared_ptr<parquet::FileMetaData> metadata) {
    parquet::ArrowReaderProperties arrow_properties;
    arrow_properties.set_use_threads(false);
    arrow_properties.set_pre_buffer(false);
    parquet::arrow::FileReaderBuilder builder;
    data::CheckContent(builder.Open(file_, Properties(verify), std::move(metadata)), path_);
    builder.properties(arrow_properties);
    auto reader = builder.Build();
    data::CheckContent(reader.status(), path_);
    readers_[verify] = std::move(*reader);
  }

  parquet::arrow::FileReader& Reader(bool verify) {
    if (!readers_[verify]) OpenReader(verify, footer_->metadata);
    return *readers_[verify];
  }

  // Runs `read` and turns whatever it throws into an error that names the row group.
  template <class F>
  void Guard(int64_t chunk, F read) {
    auto& sound = footer_->sound[static_cast<size_t>(chunk)];
    const bool verify = !sound.load(std::memory_order_relaxed);
    try {
      read(Reader(verify), verify);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}, row group {}: {}", path_.string(), chunk, error.what()));
    } catch (const std::exception& error) {
      std::string message = error.what();
      if (const size_t end = message.find('\n'); end != std::string::npos) message.resize(end);
      throw Error(Code::kCorrupt,
                  fmt::format("{}, row group {} cannot be read: {}; write the file again, or go on "
                              "without it by on_error = \"skip\"",
                              path_.string(), chunk, message));
    }
    if (verify) sound.store(true, std::memory_order_relaxed);
  }

  void Preload(const parquet::RowGroupMetaData& group) {
    std::vector<std::pair<int64_t, int64_t>> ranges;
    for (const int leaf : all_leaves_) ranges.push_back(ChunkRange(*group.ColumnChunk(leaf)));
    data::Check(file_->Preload(std::move(ranges)), "reading " + path_.string());
  }

  // A leaf's pages are read one by one, not the whole column before the first is decoded, unless that is as
  // small as a slice.
  std::shared_ptr<parquet::ColumnReader> OpenColumn(parquet::RowGroupReader& group, int leaf,
                                                    int64_t slice_bytes, bool verify) {
    const auto chunk = group.metadata()->ColumnChunk(leaf);
    const auto& writer = footer_->metadata->writer_version();
    const bool old = writer.VersionLt(parquet::ApplicationVersion::PARQUET_816_FIXED_VERSION()) ||
                     writer.VersionLt(parquet::ApplicationVersion::PARQUET_CPP_10353_FIXED_VERSION());
    const auto [begin, end] = ChunkRange(*chunk);
    const bool sound = 0 <= begin && begin <= end && end <= *file_->GetSize();
    const bool small = slice_bytes == 0 || end - begin <= slice_bytes;
    // What wrote wrong sizes, is encrypted or lies outside the file is Arrow's to read or to refuse.
    if (small || !file_->local() || old || !sound || chunk->crypto_metadata()) return group.Column(leaf);
    const parquet::ColumnDescriptor* const descriptor = footer_->metadata->schema()->Column(leaf);
    auto pages =
        parquet::PageReader::Open(std::make_shared<ColumnStream>(file_, begin, end, kReadAhead),
                                  chunk->num_values(), chunk->compression(), Properties(verify), *descriptor);
    return parquet::ColumnReader::Make(descriptor, std::move(pages));
  }

  void ReadArrays(parquet::arrow::FileReader& reader, int group, size_t column, int64_t slice_bytes,
                  RowSink& sink) {
    const Plan& plan = plans_[column];
    const int64_t rows = footer_->metadata->RowGroup(group)->num_rows();
    reader.set_batch_size(std::max<int64_t>(1, slice_bytes > 0 ? SliceRows(plan, group, slice_bytes) : rows));
    auto batches = reader.GetRecordBatchReader({group}, plan.leaves);
    data::CheckContent(batches.status(), path_);
    int64_t row = 0;
    for (std::shared_ptr<arrow::RecordBatch> batch;;) {
      data::CheckContent((*batches)->ReadNext(&batch), path_);
      if (!batch) break;
      auto table = arrow::Table::FromRecordBatches({batch});
      data::Check(table.status(), "reading " + path_.string());
      PutColumn put(sink, column, row);
      PutTable(**table, {*plan.column}, scratch_, put);
      row += batch->num_rows();
    }
    if (row != rows)
      throw Error(Code::kCorrupt, fmt::format("{} rows where the footer promises {}", row, rows));
  }

  // By the size that the file states, which for ragged columns is that of an average row.
  int64_t SliceRows(const Plan& plan, int group, int64_t slice_bytes) const {
    const auto metadata = footer_->metadata->RowGroup(group);
    int64_t bytes = 0;
    for (const int leaf : plan.leaves) bytes += metadata->ColumnChunk(leaf)->total_uncompressed_size();
    return metadata->num_rows() * slice_bytes / std::max(bytes, slice_bytes);
  }

  std::filesystem::path path_;
  std::shared_ptr<InputFile> file_;
  std::shared_ptr<FileFooter> footer_;
  std::unique_ptr<parquet::arrow::FileReader> readers_[2];  // by whether they verify checksums
  std::vector<Plan> plans_;
  std::vector<int> all_leaves_;
  PlainColumnReader plain_;
  std::vector<uint8_t> scratch_;
};

}  // namespace

ChunkOpener OpenParquetFile(const std::filesystem::path& path, const FileSystem& file_system) {
  std::shared_ptr<FileFooter> footer;
  ParquetChunks(path, file_system, &footer);
  return [path, file_system, footer] {
    std::shared_ptr<FileFooter> known = footer;
    return std::make_unique<ParquetChunks>(path, file_system, &known);
  };
}

}  // namespace strop::feed
