#include <atomic>
#include <cstring>
#include <map>

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
#include "strop/feed/files/file_source.h"
#include "strop/feed/files/input_file.h"

namespace strop::feed {

struct FileFooter {
  std::shared_ptr<parquet::FileMetaData> metadata;
  std::vector<std::atomic<bool>> sound;  // a row group whose checksums were verified once
};

namespace {

constexpr int64_t kBatchRows = 2048;  // values decoded at a time: their bytes or pointers stay in L1

// How a column of the projection is read.
struct Plan {
  const data::Column* column = nullptr;
  int leaf = -1;            // set: decoded straight into the sink
  bool optional = false;    // definition levels tell of nulls
  std::vector<int> leaves;  // else through Arrow's arrays
};

void CollectLeaves(const parquet::arrow::SchemaField& field, std::vector<int>& leaves) {
  if (field.is_leaf()) leaves.push_back(field.column_index);
  for (const auto& child : field.children) CollectLeaves(child, leaves);
}

// Whether the values of a leaf lie in Parquet as they lie in a batch.
bool SameBytes(const arrow::DataType& type, const parquet::ColumnDescriptor& leaf) {
  if (leaf.max_repetition_level() > 0 || leaf.max_definition_level() > 1) return false;
  switch (leaf.physical_type()) {
    case parquet::Type::INT32:
      return type.id() == arrow::Type::INT32 || type.id() == arrow::Type::UINT32;
    case parquet::Type::INT64:
      return type.id() == arrow::Type::INT64 || type.id() == arrow::Type::UINT64;
    case parquet::Type::FLOAT:
      return type.id() == arrow::Type::FLOAT;
    case parquet::Type::DOUBLE:
      return type.id() == arrow::Type::DOUBLE;
    case parquet::Type::FIXED_LEN_BYTE_ARRAY:
      return (type.id() == arrow::Type::FIXED_SIZE_BINARY || type.id() == arrow::Type::HALF_FLOAT) &&
             type.bit_width() == 8 * leaf.type_length();
    default:
      return false;
  }
}

class ParquetChunks final : public ChunkFile {
 public:
  ParquetChunks(const std::filesystem::path& path, std::shared_ptr<FileFooter>* footer)
      : path_(path), file_(std::make_shared<InputFile>(path)) {
    if (!*footer) {
      data::DetectFormat(path);
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
      Plan plan;
      plan.column = &column;
      const int index = schema->GetFieldIndex(column.name);
      const auto& field = manifest.schema_fields[static_cast<size_t>(index)];
      if (field.is_leaf() &&
          SameBytes(*schema->field(index)->type(), *manifest.descr->Column(field.column_index))) {
        plan.leaf = field.column_index;
        plan.optional = manifest.descr->Column(field.column_index)->max_definition_level() > 0;
      } else {
        CollectLeaves(field, plan.leaves);
        table_leaves_.insert(table_leaves_.end(), plan.leaves.begin(), plan.leaves.end());
      }
      CollectLeaves(field, all_leaves_);
      names_.push_back(column.name);
      plans_.push_back(std::move(plan));
    }
  }

  void Read(int64_t chunk, RowSink& sink) override {
    Guard(chunk, [&](parquet::arrow::FileReader& reader) {
      const int index = static_cast<int>(chunk);
      const int64_t rows = footer_->metadata->RowGroup(index)->num_rows();
      const auto group = reader.parquet_reader()->RowGroup(index);
      for (size_t c = 0; c < plans_.size(); ++c) {
        if (plans_[c].leaf >= 0) ReadLeaf(*group->Column(plans_[c].leaf), plans_[c], c, chunk, rows, sink);
      }
      if (table_leaves_.empty()) return;
      auto table = reader.ReadRowGroup(index, table_leaves_);
      data::CheckContent(table.status(), path_);
      CheckRows((*table)->num_rows(), rows);
      for (size_t c = 0; c < plans_.size(); ++c) {
        if (plans_[c].leaf >= 0) continue;
        PutColumn put(sink, c);
        PutTable(**table, {*plans_[c].column}, scratch_, put);
      }
    });
  }

  std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) override {
    std::shared_ptr<arrow::Table> result;
    Guard(chunk, [&](parquet::arrow::FileReader& reader) {
      auto table = reader.ReadRowGroup(static_cast<int>(chunk), all_leaves_);
      data::CheckContent(table.status(), path_);
      std::vector<int> order;
      for (const std::string& name : names_) order.push_back((*table)->schema()->GetFieldIndex(name));
      auto selected = (*table)->SelectColumns(order);
      data::Check(selected.status(), "reading " + path_.string());
      result = *selected;
    });
    return result;
  }

  double TakeReadSeconds() noexcept override { return file_->TakeReadSeconds(); }

 private:
  // Passes a one-column table's rows on as column `column`.
  class PutColumn final : public RowSink {
   public:
    PutColumn(RowSink& sink, size_t column) : sink_(sink), column_(column) {}
    void Put(size_t, int64_t row, int64_t count, const uint8_t* values) override {
      sink_.Put(column_, row, count, values);
    }
    void PutRagged(size_t, int64_t row, const uint8_t* values, size_t bytes) override {
      sink_.PutRagged(column_, row, values, bytes);
    }
    RowPlace Place(size_t, int64_t row) override { return sink_.Place(column_, row); }

   private:
    RowSink& sink_;
    size_t column_;
  };

  void OpenReader(bool verify, std::shared_ptr<parquet::FileMetaData> metadata) {
    parquet::ReaderProperties properties = parquet::default_reader_properties();
    properties.set_page_checksum_verification(verify);
    parquet::ArrowReaderProperties arrow_properties;
    arrow_properties.set_use_threads(false);
    arrow_properties.set_pre_buffer(false);
    parquet::arrow::FileReaderBuilder builder;
    data::CheckContent(builder.Open(file_, properties, std::move(metadata)), path_);
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
      read(Reader(verify));
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

  void CheckRows(int64_t found, int64_t rows) const {
    if (found == rows) return;
    throw Error(Code::kCorrupt, fmt::format("{} rows where the footer promises {}", found, rows));
  }

  void ReadLeaf(parquet::ColumnReader& leaf, const Plan& plan, size_t column, int64_t chunk, int64_t rows,
                RowSink& sink) {
    switch (leaf.type()) {
      case parquet::Type::INT32:
        return ReadValues<parquet::Int32Type>(leaf, plan, column, chunk, rows, sink);
      case parquet::Type::INT64:
        return ReadValues<parquet::Int64Type>(leaf, plan, column, chunk, rows, sink);
      case parquet::Type::FLOAT:
        return ReadValues<parquet::FloatType>(leaf, plan, column, chunk, rows, sink);
      case parquet::Type::DOUBLE:
        return ReadValues<parquet::DoubleType>(leaf, plan, column, chunk, rows, sink);
      case parquet::Type::FIXED_LEN_BYTE_ARRAY:
        return ReadValues<parquet::FLBAType>(leaf, plan, column, chunk, rows, sink);
      default:
        throw Error(Code::kInternal, fmt::format("column {} has no direct reader", plan.column->name));
    }
  }

  template <class Type>
  void ReadValues(parquet::ColumnReader& leaf, const Plan& plan, size_t column, int64_t chunk, int64_t rows,
                  RowSink& sink) {
    auto& reader = static_cast<parquet::TypedColumnReader<Type>&>(leaf);
    using Value = typename Type::c_type;
    values_.resize(sizeof(Value) * kBatchRows);
    levels_.resize(kBatchRows);
    auto* const values = reinterpret_cast<Value*>(values_.data());
    for (int64_t row = 0; row < rows;) {
      int64_t got = 0;
      const int64_t levels = reader.ReadBatch(
          std::min(rows - row, kBatchRows), plan.optional ? levels_.data() : nullptr, nullptr, values, &got);
      if (levels <= 0) CheckRows(row, rows);
      if (got != levels) {
        int64_t null = 0;
        while (levels_[static_cast<size_t>(null)] != 0) ++null;
        throw Error(
            Code::kInvalidArgument,
            fmt::format(
                "column {} is null in row {} of row group {}: a dense column has a value in every row; "
                "fill it or leave the row out",
                plan.column->name, row + null, chunk));
      }
      if constexpr (std::is_same_v<Type, parquet::FLBAType>) {
        PutRuns(values, got, plan.column->row_bytes(), column, row, sink);
      } else {
        sink.Put(column, row, got, reinterpret_cast<const uint8_t*>(values));
      }
      row += got;
    }
  }

  // Rows of a plain page lie one behind the other; of a dictionary they do not.
  static void PutRuns(const parquet::FixedLenByteArray* values, int64_t count, size_t bytes, size_t column,
                      int64_t row, RowSink& sink) {
    for (int64_t begin = 0; begin < count;) {
      int64_t end = begin + 1;
      while (end < count && values[end].ptr == values[end - 1].ptr + bytes) ++end;
      sink.Put(column, row + begin, end - begin, values[begin].ptr);
      begin = end;
    }
  }

  std::filesystem::path path_;
  std::shared_ptr<InputFile> file_;
  std::shared_ptr<FileFooter> footer_;
  std::unique_ptr<parquet::arrow::FileReader> readers_[2];  // by whether they verify checksums
  std::vector<Plan> plans_;
  std::vector<int> table_leaves_, all_leaves_;
  std::vector<std::string> names_;
  std::vector<uint8_t> scratch_, values_;
  std::vector<int16_t> levels_;
};

}  // namespace

std::unique_ptr<ChunkFile> OpenParquetChunks(const std::filesystem::path& path,
                                             std::shared_ptr<FileFooter>* footer) {
  return std::make_unique<ParquetChunks>(path, footer);
}

}  // namespace strop::feed
