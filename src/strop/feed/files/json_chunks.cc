#include <arrow/buffer.h>
#include <arrow/json/api.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include "strop/feed/files/line_chunks.h"

namespace strop::feed {
namespace {

// JSON lines (jsonlines.org, ndjson): an object a line; a line end within a text is always written \n.
class JsonFormat final : public LineFormat {
 public:
  std::string_view name() const override { return "JSON lines"; }
  bool has_header() const override { return false; }
  bool all_text() const override { return false; }

  size_t RowEnd(std::string_view text, size_t begin, bool last) const override {
    const size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) return last ? text.size() : end;
    return end + 1;
  }

  arrow::Result<std::vector<std::string>> ColumnNames(const std::shared_ptr<arrow::Buffer>&) const override {
    return std::vector<std::string>();
  }

  arrow::Result<std::shared_ptr<arrow::Table>> Infer(const std::shared_ptr<arrow::Buffer>& block,
                                                     const std::vector<std::string>&) const override {
    return Read(block, arrow::json::ParseOptions::Defaults());
  }

  arrow::Result<std::shared_ptr<arrow::Table>> Parse(const std::shared_ptr<arrow::Buffer>& block,
                                                     const arrow::Schema& schema,
                                                     const std::vector<std::string>& wanted) const override {
    arrow::FieldVector fields;
    for (const auto& name : wanted) fields.push_back(schema.GetFieldByName(name));
    auto options = arrow::json::ParseOptions::Defaults();
    options.explicit_schema = arrow::schema(std::move(fields));
    options.unexpected_field_behavior = arrow::json::UnexpectedFieldBehavior::Ignore;
    return Read(block, options);
  }

 private:
  static arrow::Result<std::shared_ptr<arrow::Table>> Read(const std::shared_ptr<arrow::Buffer>& block,
                                                           const arrow::json::ParseOptions& options) {
    ARROW_ASSIGN_OR_RAISE(const auto batch, arrow::json::ParseOne(options, block));
    return arrow::Table::FromRecordBatches({batch});
  }
};

}  // namespace

ChunkOpener OpenJsonFile(const std::filesystem::path& path, const LineOptions& options) {
  const auto format = std::make_shared<const JsonFormat>();
  return [path, format, index = IndexLines(path, *format, options)] {
    return OpenLineChunks(path, format, index);
  };
}

}  // namespace strop::feed
