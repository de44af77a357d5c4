#include "strop/feed/files/line_index.h"

#include <algorithm>
#include <set>
#include <string>

#include <arrow/buffer.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/utf8.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/source_file.h"
#include "strop/data/table.h"
#include "strop/feed/files/input_file.h"
#include "strop/feed/files/line_fault.h"
#include "strop/feed/files/line_index_store.h"
#include "strop/feed/interrupt.h"

namespace strop::feed {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kRemedy = "mend the row or leave it out";

bool Blank(std::string_view text) { return text.find_first_not_of("\r\n") == std::string_view::npos; }

std::shared_ptr<arrow::Buffer> Wrap(std::string_view text) { return std::make_shared<arrow::Buffer>(text); }

// One pass over one file.
class Indexer {
 public:
  Indexer(const std::filesystem::path& path, const LineFormat& format, const LineOptions& options)
      : path_(path), format_(format), options_(options), file_(path) {}

  void Run(LineIndex& index) {
    while (text_.size() < kByteOrderMark.size() && !last_) Fill();
    if (text_.starts_with(kByteOrderMark)) Drop(kByteOrderMark.size());
    if (format_.has_header()) ReadHeader();
    size_t end = 0;
    while (end < text_.size() || !last_) {
      if (end == text_.size()) Fill();
      if (end < text_.size()) end = NextRow(end);
      if (static_cast<int64_t>(end) < options_.block_bytes && !(last_ && end == text_.size())) continue;
      AddChunk(std::string_view(text_).substr(0, end), index);
      Drop(end);
      end = 0;
    }
    if (index.chunks.empty()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} has {}no rows: leave it out, or write it again", path_.string(),
                              format_.has_header() ? "a header and " : ""));
    }
    index.schema = arrow::schema(fields_);
  }

 private:
  void Fill() {
    CheckInterrupt();
    // As much as there is of an unfinished row, so that a long one is not scanned again and again.
    const size_t had = text_.size();
    const size_t wanted = std::max(had, static_cast<size_t>(std::max<int64_t>(options_.block_bytes, 1)));
    text_.resize(had + wanted);
    auto got =
        file_.ReadAt(offset_ + static_cast<int64_t>(had), static_cast<int64_t>(wanted), text_.data() + had);
    data::Check(got.status(), "reading " + path_.string());
    text_.resize(had + static_cast<size_t>(*got));
    last_ = static_cast<size_t>(*got) < wanted;
  }

  void Drop(size_t bytes) {
    line_ += std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(bytes), '\n');
    offset_ += static_cast<int64_t>(bytes);
    text_.erase(0, bytes);
  }

  size_t NextRow(size_t begin) {
    for (;;) {
      const size_t end = format_.RowEnd(text_, begin, last_);
      const bool found = end != std::string_view::npos;
      const bool too_long = static_cast<int64_t>((found ? end : text_.size()) - begin) > options_.row_limit;
      if (found && !too_long) return end;
      if (last_ || too_long) {
        throw Error(
            Code::kCorrupt,
            fmt::format(
                "{}: the row that begins in line {} (byte {}) {}: \"{}\"; close the quote, or "
                "write or copy the file again",
                path_.string(),
                line_ + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(begin), '\n'),
                offset_ + static_cast<int64_t>(begin),
                too_long ? fmt::format("is longer than {} bytes", options_.row_limit)
                         : "opens a quote that never closes",
                Excerpt(std::string_view(text_).substr(begin))));
      }
      Fill();
    }
  }

  void ReadHeader() {
    for (;;) {
      if (text_.empty() && !last_) Fill();
      if (text_.empty()) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("{} is empty: a {} file begins with a line of column names", path_.string(),
                                format_.name()));
      }
      const size_t end = NextRow(0);
      const std::string_view row = std::string_view(text_).substr(0, end);
      if (!Blank(row)) {
        CheckText(row);
        auto names = format_.ColumnNames(Wrap(row));
        data::CheckContent(names.status(), path_);
        NameColumns(*names);
        return Drop(end);
      }
      Drop(end);
    }
  }

  void NameColumns(const std::vector<std::string>& names) {
    std::set<std::string> seen;
    for (const std::string& name : names) {
      if (!seen.insert(name).second) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("{}, line {}: column \"{}\" is there twice: give each its own name",
                                path_.string(), line_, name));
      }
      fields_.push_back(arrow::field(name, arrow::null()));
    }
    names_ = names;
  }

  void AddChunk(std::string_view text, LineIndex& index) {
    if (Blank(text)) return;
    CheckText(text);
    LineChunk chunk{offset_, static_cast<int64_t>(text.size()), 0, line_};
    const auto infer = [&](std::string_view rows) {
      return Blank(rows) ? arrow::Status::OK() : format_.Infer(Wrap(rows), names_).status();
    };
    auto table = format_.Infer(Wrap(text), names_);
    if (!table.ok()) ThrowFault(path_, format_, chunk, text, infer, kRemedy);
    chunk.rows = (*table)->num_rows();
    for (const auto& field : (*table)->schema()->fields()) Widen(*field, chunk, text);
    if (chunk.rows > 0) index.chunks.push_back(chunk);
  }

  void Widen(const arrow::Field& found, const LineChunk& chunk, std::string_view text) {
    const auto known = std::find_if(fields_.begin(), fields_.end(),
                                    [&](const auto& field) { return field->name() == found.name(); });
    if (known == fields_.end()) {
      fields_.push_back(arrow::field(found.name(), found.type()));
      return;
    }
    const auto type = CommonType((*known)->type(), found.type(), format_.all_text());
    if (!type) {
      const arrow::Schema schema({*known});
      ThrowFault(
          path_, format_, chunk, text,
          [&](std::string_view rows) {
            return Blank(rows) ? arrow::Status::OK()
                               : format_.Parse(Wrap(rows), schema, {found.name()}).status();
          },
          fmt::format("column {} is {} before: give it one type", found.name(),
                      (*known)->type()->ToString()));
    }
    *known = (*known)->WithType(type);
  }

  void CheckText(std::string_view text) const {
    if (arrow::util::ValidateUTF8(text)) return;
    int64_t line = line_;
    for (size_t begin = 0; begin < text.size(); ++line) {
      const size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
      const std::string_view row = text.substr(begin, end - begin);
      if (!arrow::util::ValidateUTF8(row)) {
        throw Error(Code::kCorrupt,
                    fmt::format("{}, line {} (byte {}) is not UTF-8: \"{}\"; {}", path_.string(), line,
                                offset_ + static_cast<int64_t>(begin), Excerpt(row),
                                row.starts_with("\x1f\x8b") ? "it is compressed by gzip: decompress it"
                                                            : "write it again as UTF-8"));
      }
      begin = end;
    }
  }

  const std::filesystem::path& path_;
  const LineFormat& format_;
  const LineOptions& options_;
  InputFile file_;
  std::string text_;   // of the file from offset_ on
  bool last_ = false;  // text_ goes to the end of the file
  int64_t offset_ = 0;
  int64_t line_ = 1;  // that text_ begins in
  std::vector<std::string> names_;
  arrow::FieldVector fields_;
};

bool Written(const arrow::DataType& type) {
  return arrow::is_base_binary_like(type.id()) || arrow::is_temporal(type.id());
}

std::shared_ptr<arrow::DataType> CommonStruct(const arrow::DataType& a, const arrow::DataType& b,
                                              bool all_text) {
  arrow::FieldVector fields = a.fields();
  for (const auto& field : b.fields()) {
    const auto known = std::find_if(fields.begin(), fields.end(),
                                    [&](const auto& other) { return other->name() == field->name(); });
    if (known == fields.end()) {
      fields.push_back(field);
      continue;
    }
    const auto type = CommonType((*known)->type(), field->type(), all_text);
    if (!type) return nullptr;
    *known = (*known)->WithType(type);
  }
  return arrow::struct_(fields);
}

}  // namespace

std::shared_ptr<arrow::DataType> CommonType(const std::shared_ptr<arrow::DataType>& a,
                                            const std::shared_ptr<arrow::DataType>& b, bool all_text) {
  const auto both = [&](arrow::Type::type first, arrow::Type::type second) {
    return (a->id() == first && b->id() == second) || (a->id() == second && b->id() == first);
  };
  if (a->Equals(*b) || b->id() == arrow::Type::NA) return a;
  if (a->id() == arrow::Type::NA) return b;
  if (both(arrow::Type::INT64, arrow::Type::DOUBLE)) return arrow::float64();
  if (both(arrow::Type::DATE32, arrow::Type::TIMESTAMP)) return a->id() == arrow::Type::TIMESTAMP ? a : b;
  if (both(arrow::Type::TIMESTAMP, arrow::Type::TIMESTAMP)) {
    const auto& first = static_cast<const arrow::TimestampType&>(*a);
    const auto& second = static_cast<const arrow::TimestampType&>(*b);
    if (first.timezone() == second.timezone()) return first.unit() > second.unit() ? a : b;
    return arrow::utf8();
  }
  if (both(arrow::Type::LIST, arrow::Type::LIST)) {
    const auto element = CommonType(a->field(0)->type(), b->field(0)->type(), all_text);
    return element ? arrow::list(element) : nullptr;
  }
  if (both(arrow::Type::STRUCT, arrow::Type::STRUCT)) return CommonStruct(*a, *b, all_text);
  return all_text || (Written(*a) && Written(*b)) ? arrow::utf8() : nullptr;
}

std::shared_ptr<const LineIndex> IndexLines(const std::filesystem::path& path, const LineFormat& format,
                                            const LineOptions& options) {
  static const bool ready = (arrow::util::InitializeUTF8(), true);
  auto index = std::make_shared<LineIndex>();
  index->stamp = StampOf(path);
  const std::string kind = fmt::format("{} {}", format.name(), options.block_bytes);
  if (ready && LoadLineIndex(path, kind, *index)) return index;
  Indexer(path, format, options).Run(*index);
  CheckUnchanged(path, index->stamp);
  StoreLineIndex(path, kind, *index);
  return index;
}

}  // namespace strop::feed
