#include "strop/watch/label_import.h"

#include <filesystem>
#include <utility>

#include <arrow/array.h>
#include <arrow/csv/api.h>
#include <arrow/io/file.h>
#include <arrow/scalar.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "strop/base/error.h"
#include "strop/data/table.h"

namespace strop::watch {
namespace {

std::shared_ptr<arrow::Table> ReadCsv(const std::string& file, const std::string& key) {
  if (!std::filesystem::exists(file)) throw Error(Code::kNotFound, fmt::format("{}: no such file", file));
  auto input = arrow::io::ReadableFile::Open(file);
  data::Check(input.status(), "opening " + file);
  auto convert = arrow::csv::ConvertOptions::Defaults();
  // "007" is a name, not the number 7.
  convert.column_types[key] = arrow::utf8();
  auto reader = arrow::csv::TableReader::Make(arrow::io::default_io_context(), *input,
                                              arrow::csv::ReadOptions::Defaults(),
                                              arrow::csv::ParseOptions::Defaults(), convert);
  data::Check(reader.status(), "reading " + file);
  auto table = (*reader)->Read();
  data::Check(table.status(), "reading " + file);
  return std::move(*table);
}

std::shared_ptr<arrow::ChunkedArray> Find(const arrow::Table& table, const std::string& name,
                                          const std::string& file) {
  const int index = table.schema()->GetFieldIndex(name);
  if (index < 0) {
    throw Error(Code::kInvalidArgument, fmt::format("{} has no column {}: it has {}", file, name,
                                                    fmt::join(table.ColumnNames(), ", ")));
  }
  return table.column(index);
}

store::Value ValueAt(const arrow::ChunkedArray& column, int64_t row, const std::string& where) {
  const auto scalar = column.GetScalar(row);
  data::Check(scalar.status(), "reading " + where);
  const arrow::DataType& type = *(*scalar)->type;
  if (!(*scalar)->is_valid)
    throw Error(Code::kInvalidArgument, fmt::format("{} is missing in row {}", where, row));
  const auto as = [&](const std::shared_ptr<arrow::DataType>& wanted) {
    auto cast = (*scalar)->CastTo(wanted);
    data::Check(cast.status(), "reading " + where);
    return std::move(*cast);
  };
  if (arrow::is_integer(type.id()) || type.id() == arrow::Type::BOOL) {
    return static_cast<const arrow::Int64Scalar&>(*as(arrow::int64())).value;
  }
  if (arrow::is_floating(type.id()))
    return static_cast<const arrow::DoubleScalar&>(*as(arrow::float64())).value;
  if (arrow::is_base_binary_like(type.id())) {
    std::string text = static_cast<const arrow::BaseBinaryScalar&>(**scalar).value->ToString();
    if (text.empty()) throw Error(Code::kInvalidArgument, fmt::format("{} is missing in row {}", where, row));
    return text;
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("{} is of type {}: expected numbers or text", where, type.ToString()));
}

}  // namespace

std::vector<Label> ReadLabels(const std::string& file, const std::string& key, const std::string& label) {
  const bool csv = std::filesystem::path(file).extension() == ".csv";
  const auto table = csv ? ReadCsv(file, key) : data::ReadTable(file);
  const auto keys = Find(*table, key, file);
  const auto values = Find(*table, label, file);
  std::vector<Label> labels;
  for (int64_t row = 0; row < table->num_rows(); ++row) {
    const store::Value id = ValueAt(*keys, row, fmt::format("{}: column {}", file, key));
    const auto* const text = std::get_if<std::string>(&id);
    const auto* const number = std::get_if<int64_t>(&id);
    if (!text && !number) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{}: column {} holds fractions: expected ids", file, key));
    }
    labels.push_back({text ? *text : fmt::format("{}", *number),
                      ValueAt(*values, row, fmt::format("{}: column {}", file, label))});
  }
  return labels;
}

}  // namespace strop::watch
