#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <glob.h>

#include <arrow/chunked_array.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>

#include "strop/data/source_file.h"
#include "strop/data/table.h"

namespace strop::data {
namespace {

std::vector<int> ColumnIndexes(const arrow::Schema& schema, const std::vector<std::string>& columns,
                               const std::filesystem::path& path) {
  std::vector<int> indexes;
  for (const auto& column : columns) {
    const int index = schema.GetFieldIndex(column);
    if (index < 0) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} has no column {} (or several): it has {}", path.string(), column,
                              fmt::join(schema.field_names(), ", ")));
    }
    indexes.push_back(index);
  }
  return indexes;
}

std::shared_ptr<arrow::Table> ReadParquet(const std::filesystem::path& path,
                                          const std::vector<std::string>& columns) {
  const auto reader = OpenParquet(path, /*threads=*/true);
  std::shared_ptr<arrow::Schema> schema;
  CheckContent(reader->GetSchema(&schema), path);
  std::vector<int> leaves;
  for (const int index : ColumnIndexes(*schema, columns, path)) {
    // Parquet counts the leaves of nested columns one by one.
    const auto collect = [&](const auto& self, const parquet::arrow::SchemaField& field) -> void {
      if (field.column_index >= 0) leaves.push_back(field.column_index);
      for (const auto& child : field.children) self(self, child);
    };
    collect(collect, reader->manifest().schema_fields[static_cast<size_t>(index)]);
  }
  auto table = columns.empty() ? reader->ReadTable() : reader->ReadTable(leaves);
  CheckContent(table.status(), path);
  return std::move(*table);
}

std::shared_ptr<arrow::Table> ReadIpc(const std::filesystem::path& path, FileFormat format) {
  auto file = arrow::io::ReadableFile::Open(path.string());
  Check(file.status(), "opening " + path.string());
  if (format == FileFormat::kArrowStream) {
    auto reader = arrow::ipc::RecordBatchStreamReader::Open(std::move(*file));
    CheckContent(reader.status(), path);
    auto table = (*reader)->ToTable();
    CheckContent(table.status(), path);
    return std::move(*table);
  }
  auto reader = arrow::ipc::RecordBatchFileReader::Open(std::move(*file));
  CheckContent(reader.status(), path);
  arrow::RecordBatchVector batches;
  for (int i = 0; i < (*reader)->num_record_batches(); ++i) {
    auto batch = (*reader)->ReadRecordBatch(i);
    CheckContent(batch.status(), path);
    batches.push_back(std::move(*batch));
  }
  auto table = arrow::Table::FromRecordBatches((*reader)->schema(), batches);
  CheckContent(table.status(), path);
  return std::move(*table);
}

std::shared_ptr<arrow::Table> ReadOne(const std::filesystem::path& path,
                                      const std::vector<std::string>& columns) {
  const FileFormat format = DetectFormat(path);
  std::shared_ptr<arrow::Table> table =
      format == FileFormat::kParquet ? ReadParquet(path, columns) : ReadIpc(path, format);
  if (columns.empty()) return table;
  auto selected = table->SelectColumns(ColumnIndexes(*table->schema(), columns, path));
  CheckContent(selected.status(), path);
  return std::move(*selected);
}

// What glob could not look into: files there would be left out in silence.
thread_local std::string unlisted;
thread_local int unlisted_error = 0;

int OnUnlisted(const char* folder, int error) {
  if (error == ENOENT) return 0;
  unlisted = folder;
  unlisted_error = error;
  return 1;
}

[[noreturn]] void ThrowUnread(const std::string& path, const std::string& reason) {
  throw Error(Code::kIo, fmt::format("{} cannot be read: {}", path, reason));
}

}  // namespace

std::vector<std::filesystem::path> ResolveFiles(const std::string& uri) {
  if (uri.empty()) {
    throw Error(Code::kInvalidArgument, "a source is \"\": expected a path, a glob or a file:// URI");
  }
  std::string pattern = uri;
  if (pattern.starts_with("file://")) {
    pattern.erase(0, 7);
  } else if (const size_t scheme = pattern.find("://"); scheme != std::string::npos) {
    throw Error(Code::kUnsupported, fmt::format("{}: a source is a path, a glob or a file:// URI, not {}://",
                                                uri, pattern.substr(0, scheme)));
  }
  std::error_code ignored, error;
  if (std::filesystem::exists(pattern, error)) return {pattern};
  glob_t found{};
  const int status = glob(pattern.c_str(), GLOB_NOSORT | GLOB_TILDE, OnUnlisted, &found);
  std::vector<std::filesystem::path> files;
  for (size_t i = 0; status == 0 && i < found.gl_pathc; ++i) {
    if (!std::filesystem::is_directory(found.gl_pathv[i], ignored)) files.emplace_back(found.gl_pathv[i]);
  }
  globfree(&found);
  if (status == GLOB_ABORTED) ThrowUnread(unlisted, std::strerror(unlisted_error));
  if (files.empty() && error) ThrowUnread(uri, error.message());
  if (files.empty()) throw Error(Code::kNotFound, fmt::format("no file matches {}", uri));
  std::sort(files.begin(), files.end());
  return files;
}

std::shared_ptr<arrow::Table> ReadTable(const std::string& uri, const std::vector<std::string>& columns) {
  const auto files = ResolveFiles(uri);
  std::vector<std::shared_ptr<arrow::Table>> tables;
  for (const auto& file : files) {
    tables.push_back(ReadOne(file, columns));
    if (!tables.back()->schema()->Equals(*tables.front()->schema(), /*check_metadata=*/false)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} and {} have different columns: one source has one schema",
                              files.front().string(), file.string()));
    }
  }
  if (tables.size() == 1) return tables.front();
  auto table = arrow::ConcatenateTables(tables);
  Check(table.status(), "joining the files of " + uri);
  return std::move(*table);
}

std::shared_ptr<arrow::Schema> ReadSchema(const std::string& uri) {
  const auto path = ResolveFiles(uri).front();
  const FileFormat format = DetectFormat(path);
  std::shared_ptr<arrow::Schema> schema;
  if (format == FileFormat::kParquet) {
    CheckContent(OpenParquet(path, /*threads=*/false)->GetSchema(&schema), path);
    return schema;
  }
  auto file = arrow::io::ReadableFile::Open(path.string());
  Check(file.status(), "opening " + path.string());
  if (format == FileFormat::kArrowStream) {
    auto reader = arrow::ipc::RecordBatchStreamReader::Open(std::move(*file));
    CheckContent(reader.status(), path);
    return (*reader)->schema();
  }
  auto reader = arrow::ipc::RecordBatchFileReader::Open(std::move(*file));
  CheckContent(reader.status(), path);
  return (*reader)->schema();
}

TensorMap ReadTensors(const std::string& uri, const std::vector<std::string>& columns) {
  std::vector<std::string> names = columns;
  if (names.empty()) {
    for (const auto& column : DescribeSchema(*ReadSchema(uri))) names.push_back(column.name);
  }
  const auto table = ReadTable(uri, names);
  TensorMap tensors;
  for (const auto& name : names) {
    const int index = table->schema()->GetFieldIndex(name);
    tensors[name] = ColumnToTensor(*table->column(index), DescribeColumn(*table->schema()->field(index)), 0,
                                   table->num_rows());
  }
  return tensors;
}

}  // namespace strop::data
