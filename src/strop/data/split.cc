#include "strop/data/split.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include <arrow/array/builder_primitive.h>
#include <arrow/compute/api_vector.h>
#include <arrow/datum.h>
#include <arrow/table.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/rng.h"
#include "strop/data/table.h"

namespace strop::data {
namespace {

// The stream of the draws that deal rows: the letters of "split".
constexpr uint64_t kSplitStream = 0x73706c6974;

void ValidateShares(const std::map<std::string, double>& shares) {
  double sum = 0;
  for (const auto& [name, share] : shares) {
    if (!(share > 0)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("split {} has the share {}: expected more than 0", name, share));
    }
    if (name.empty() || name.find('/') != std::string::npos) {
      throw Error(Code::kInvalidArgument, fmt::format("split \"{}\" cannot name a file", name));
    }
    sum += share;
  }
  if (!(std::abs(sum - 1) <= 1e-9)) {
    throw Error(Code::kInvalidArgument, fmt::format("the splits' shares sum to {}: expected 1", sum));
  }
}

// Names the source's present content without reading all of it: its files with their sizes and times of
// change.
std::string SourceHash(const std::string& source) {
  std::string facts;
  for (const auto& file : ResolveFiles(source)) {
    facts += fmt::format("{}\n{}\n{}\n", std::filesystem::absolute(file).string(),
                         std::filesystem::file_size(file),
                         std::filesystem::last_write_time(file).time_since_epoch().count());
  }
  return HashHex(facts + ReadSchema(source)->ToString(/*show_metadata=*/true));
}

// Which split each row belongs to, as an index into the shares.
std::vector<size_t> Deal(int64_t rows, const std::map<std::string, double>& shares, uint64_t seed) {
  std::vector<double> edges;
  double edge = 0;
  for (const auto& [name, share] : shares) edges.push_back(edge += share);
  Rng rng(seed, kSplitStream);
  std::vector<size_t> splits(static_cast<size_t>(rows));
  for (auto& split : splits) {
    const double draw = rng.Uniform();
    while (split + 1 < edges.size() && draw >= edges[split]) ++split;
  }
  return splits;
}

std::shared_ptr<arrow::Table> Select(const arrow::Table& table, const std::vector<size_t>& dealt,
                                     size_t split) {
  arrow::Int64Builder rows;
  for (size_t row = 0; row < dealt.size(); ++row) {
    if (dealt[row] == split) Check(rows.Append(static_cast<int64_t>(row)), "dealing rows");
  }
  const auto indices = rows.Finish();
  Check(indices.status(), "dealing rows");
  const auto taken = arrow::compute::Take(table.Slice(0), *indices);
  Check(taken.status(), "dealing rows");
  return taken->table();
}

}  // namespace

std::map<std::string, std::filesystem::path> WriteSplits(const std::string& source,
                                                         const std::map<std::string, double>& shares,
                                                         uint64_t seed,
                                                         const std::filesystem::path& directory) {
  ValidateShares(shares);
  std::map<std::string, std::filesystem::path> files;
  for (const auto& [name, share] : shares) files[name] = directory / (name + ".parquet");

  nlohmann::json record = {{"version", 1},
                           {"source", source},
                           {"seed", seed},
                           {"shares", shares},
                           {"content", SourceHash(source)}};
  const auto record_file = directory / "splits.json";
  if (std::filesystem::exists(record_file)) {
    auto old = nlohmann::json::parse(ReadFile(record_file), nullptr, /*allow_exceptions=*/false);
    if (old.is_object()) old.erase("rows");
    bool complete = old == record;
    for (const auto& [name, file] : files) complete = complete && std::filesystem::exists(file);
    if (complete) return files;
    // Until every file is new, no record may vouch for them.
    std::filesystem::remove(record_file);
  }

  const auto table = ReadTable(source);
  const auto dealt = Deal(table->num_rows(), shares, seed);
  std::map<std::string, int64_t> rows;
  size_t index = 0;
  for (const auto& [name, share] : shares) {
    rows[name] = std::count(dealt.begin(), dealt.end(), index++);
    if (rows[name] == 0) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("split {} with the share {} of the {} rows of {} would be empty: give it more",
                              name, share, table->num_rows(), source));
    }
  }
  index = 0;
  for (const auto& [name, file] : files) WriteParquet(*Select(*table, dealt, index++), file);
  record["rows"] = rows;
  WriteFileAtomically(record_file, record.dump(2) + "\n");
  return files;
}

}  // namespace strop::data
