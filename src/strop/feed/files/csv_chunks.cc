#include <arrow/buffer.h>
#include <arrow/csv/api.h>
#include <arrow/io/memory.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include "strop/feed/files/line_chunks.h"

namespace strop::feed {
namespace {

// RFC 4180 as Arrow reads it: a quote opens a value only at its start, and a lone CR ends a row too.
class CsvFormat final : public LineFormat {
 public:
  explicit CsvFormat(char delimiter) : delimiter_(delimiter) {}

  std::string_view name() const override { return delimiter_ == '\t' ? "TSV" : "CSV"; }
  bool has_header() const override { return true; }
  bool all_text() const override { return true; }

  size_t RowEnd(std::string_view text, size_t begin, bool last) const override {
    const char ends[] = {delimiter_, '\n', '\r'};
    for (size_t at = begin;;) {
      if (at < text.size() && text[at] == '"' && !SkipQuoted(text, at, last)) return std::string_view::npos;
      at = text.find_first_of(std::string_view(ends, 3), at);
      if (at == std::string_view::npos) return last ? text.size() : at;
      if (text[at++] == delimiter_) continue;
      if (text[at - 1] == '\n') return at;
      if (at == text.size()) return last ? at : std::string_view::npos;  // a LF may follow
      return text[at] == '\n' ? at + 1 : at;
    }
  }

  arrow::Result<std::vector<std::string>> ColumnNames(
      const std::shared_ptr<arrow::Buffer>& header) const override {
    // Arrow takes a header without a line ending for an empty file.
    const auto line = arrow::Buffer::FromString(header->ToString() + "\n");
    ARROW_ASSIGN_OR_RAISE(const auto table, Read(line, {}, arrow::csv::ConvertOptions::Defaults()));
    return table->schema()->field_names();
  }

  arrow::Result<std::shared_ptr<arrow::Table>> Infer(const std::shared_ptr<arrow::Buffer>& block,
                                                     const std::vector<std::string>& names) const override {
    return Read(block, names, arrow::csv::ConvertOptions::Defaults());
  }

  arrow::Result<std::shared_ptr<arrow::Table>> Parse(const std::shared_ptr<arrow::Buffer>& block,
                                                     const arrow::Schema& schema,
                                                     const std::vector<std::string>& wanted) const override {
    auto options = arrow::csv::ConvertOptions::Defaults();
    for (const auto& name : wanted) options.column_types[name] = schema.GetFieldByName(name)->type();
    options.include_columns = wanted;
    return Read(block, schema.field_names(), options);
  }

 private:
  // Moves `at` from the opening quote behind the closing one. False: not within the text, or it may yet be
  // the first of two.
  static bool SkipQuoted(std::string_view text, size_t& at, bool last) {
    for (++at;; at += 2) {
      at = text.find('"', at);
      if (at == std::string_view::npos) return false;
      if (at + 1 == text.size() && !last) return false;
      if (at + 1 == text.size() || text[at + 1] != '"') {
        ++at;
        return true;
      }
    }
  }

  // No names: the first row has them.
  arrow::Result<std::shared_ptr<arrow::Table>> Read(const std::shared_ptr<arrow::Buffer>& block,
                                                    const std::vector<std::string>& names,
                                                    const arrow::csv::ConvertOptions& convert) const {
    auto read = arrow::csv::ReadOptions::Defaults();
    read.use_threads = false;
    read.block_size = static_cast<int32_t>(block->size() + 1);
    read.column_names = names;
    auto parse = arrow::csv::ParseOptions::Defaults();
    parse.delimiter = delimiter_;
    parse.newlines_in_values = true;
    ARROW_ASSIGN_OR_RAISE(const auto reader,
                          arrow::csv::TableReader::Make(arrow::io::default_io_context(),
                                                        std::make_shared<arrow::io::BufferReader>(block),
                                                        read, parse, convert));
    return reader->Read();
  }

  char delimiter_;
};

}  // namespace

ChunkOpener OpenCsvFile(const std::filesystem::path& path, const LineOptions& options) {
  const bool tabs = path.extension() == ".tsv" || path.extension() == ".TSV";
  const auto format = std::make_shared<const CsvFormat>(tabs ? '\t' : ',');
  return [path, format, index = IndexLines(path, *format, options)] {
    return OpenLineChunks(path, format, index);
  };
}

}  // namespace strop::feed
