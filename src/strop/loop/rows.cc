#include "strop/loop/rows.h"

#include <algorithm>

#include <arrow/api.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/data/table.h"

namespace strop::loop {
namespace {

using TablePtr = std::shared_ptr<arrow::Table>;

TablePtr Concatenate(const std::vector<TablePtr>& parts, const std::string& what) {
  auto table = arrow::ConcatenateTables(parts);
  data::Check(table.status(), what);
  return *table;
}

// Runs of rows whose `keep` is the same, as slices: no row is copied.
TablePtr Filter(const TablePtr& table, const std::vector<bool>& keep) {
  std::vector<TablePtr> parts = {table->Slice(0, 0)};
  for (size_t begin = 0; begin < keep.size();) {
    size_t end = begin;
    while (end < keep.size() && keep[end] == keep[begin]) ++end;
    if (keep[begin])
      parts.push_back(table->Slice(static_cast<int64_t>(begin), static_cast<int64_t>(end - begin)));
    begin = end;
  }
  return Concatenate(parts, "parting labelled rows");
}

std::vector<bool> IsUniform(const arrow::Table& table, const std::string& file) {
  const auto column = table.GetColumnByName("reason");
  if (!column || column->type()->id() != arrow::Type::STRING) {
    throw Error(Code::kInvalidArgument, fmt::format("{} has no text column 'reason'", file));
  }
  std::vector<bool> uniform;
  for (const auto& chunk : column->chunks()) {
    const auto& reasons = static_cast<const arrow::StringArray&>(*chunk);
    for (int64_t i = 0; i < reasons.length(); ++i) uniform.push_back(reasons.GetView(i) == "uniform");
  }
  return uniform;
}

}  // namespace

int64_t MixRows(const std::filesystem::path& labelled, const std::filesystem::path& replay,
                double replay_ratio, const std::vector<std::string>& columns, uint64_t seed,
                const std::filesystem::path& out) {
  const TablePtr fresh = data::ReadTable(labelled.string(), columns);
  if (fresh->num_rows() == 0) {
    throw Error(Code::kInvalidArgument, fmt::format("{} holds no rows to retrain on", labelled.string()));
  }
  const TablePtr known = data::ReadTable(replay.string(), columns);
  const int64_t wanted = std::min(
      known->num_rows(), static_cast<int64_t>(replay_ratio * static_cast<double>(fresh->num_rows())));
  Rng rng(seed, MixSeed(0, static_cast<uint64_t>(fresh->num_rows())));
  const auto start = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(known->num_rows() - wanted + 1)));
  const TablePtr aligned = known->Slice(start, wanted);
  std::vector<std::shared_ptr<arrow::ChunkedArray>> values;
  for (const auto& field : fresh->schema()->fields())
    values.push_back(aligned->GetColumnByName(field->name()));
  const TablePtr mixed =
      Concatenate({fresh->ReplaceSchemaMetadata(nullptr),
                   arrow::Table::Make(fresh->schema(), values)->ReplaceSchemaMetadata(nullptr)},
                  fmt::format("joining {} and {}", labelled.string(), replay.string()));
  data::WriteParquet(*mixed, out);
  return mixed->num_rows();
}

LabelledRows PartLabelled(const std::filesystem::path& labelled, int64_t validation,
                          const std::filesystem::path& train_out,
                          const std::filesystem::path& validation_out) {
  const TablePtr table = data::ReadTable(labelled.string());
  std::vector<bool> validates = IsUniform(*table, labelled.string());
  int64_t left = validation;
  for (size_t i = 0; i < validates.size(); ++i) validates[i] = validates[i] && left-- > 0;
  const TablePtr held = Filter(table, validates);
  validates.flip();
  const TablePtr rest = Filter(table, validates);
  data::WriteParquet(*held, validation_out);
  data::WriteParquet(*rest, train_out);
  return {rest->num_rows(), held->num_rows()};
}

}  // namespace strop::loop
