#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/cli/verb.h"
#include "strop/data/table.h"
#include "strop/engine/session.h"

namespace strop::cli {
namespace {

using model::ValueInfo;

struct InferOptions {
  std::filesystem::path model, output;
  std::string data;
  std::vector<std::string> keep;
  int64_t batch = 256;
  int threads = 0;
  bool cast = false;
};

// A model input and the column that feeds it.
struct Feed {
  const ValueInfo* input;
  data::Column column;
};

int Digits(DType dtype) {  // whole numbers up to 2^digits are exact
  switch (dtype) {
    case DType::kBool:
      return 1;
    case DType::kI8:
      return 7;
    case DType::kU8:
      return 8;
    case DType::kF16:
      return 11;
    case DType::kI16:
      return 15;
    case DType::kU16:
      return 16;
    case DType::kF32:
      return 24;
    case DType::kI32:
      return 31;
    case DType::kU32:
      return 32;
    case DType::kF64:
      return 53;
    case DType::kI64:
      return 63;
    case DType::kU64:
      return 64;
  }
  return 0;
}

bool IsFloat(DType dtype) { return dtype == DType::kF16 || dtype == DType::kF32 || dtype == DType::kF64; }

bool IsUnsigned(DType dtype) {
  return dtype == DType::kBool || dtype == DType::kU8 || dtype == DType::kU16 || dtype == DType::kU32 ||
         dtype == DType::kU64;
}

// Whether every value of `from` is a value of `to`.
bool Lossless(DType from, DType to) {
  if (from == to) return true;
  if (IsFloat(from) && !IsFloat(to)) return false;
  if (!IsFloat(to) && IsUnsigned(to) && !IsUnsigned(from)) return false;
  return to != DType::kBool && Digits(from) <= Digits(to);
}

std::vector<std::string> InputNames(const engine::Session& session) {
  std::vector<std::string> names;
  for (const ValueInfo& input : session.inputs()) names.push_back(input.name);
  return names;
}

data::Column ColumnFor(const ValueInfo& input, const engine::Session& session, const arrow::Schema& schema,
                       const std::string& source) {
  if (const auto field = schema.GetFieldByName(input.name)) return data::DescribeColumn(*field);
  std::vector<data::Column> inputs;
  for (const data::Column& column : data::DescribeSchema(schema)) {
    if (column.role == data::Role::kInput) inputs.push_back(column);
  }
  if (session.inputs().size() == 1 && inputs.size() == 1) return inputs[0];
  throw Error(
      Code::kNotFound,
      fmt::format("{} has no column {}: the model's inputs are {}, the columns are {}", source, input.name,
                  fmt::join(InputNames(session), ", "), fmt::join(schema.field_names(), ", ")));
}

void CheckFeed(const Feed& feed, const InferOptions& options) {
  const ValueInfo& input = *feed.input;
  const Shape row(input.shape.begin() + (input.shape.empty() ? 0 : 1), input.shape.end());
  if (input.shape.empty() || std::find(row.begin(), row.end(), -1) != row.end()) {
    throw Error(Code::kUnsupported,
                fmt::format("input {} is {}: only models whose first size is the batch and whose "
                            "other sizes are fixed read rows",
                            input.name, ShapeText(input.shape)));
  }
  if (ElementCount(row) != ElementCount(feed.column.shape)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("column {} has rows of shape {}: input {} wants {}", feed.column.name,
                            ShapeText(feed.column.shape), input.name, ShapeText(row)));
  }
  if (!options.cast && !Lossless(feed.column.dtype, input.dtype)) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format(
            "column {} is {}, input {} is {}, which cannot hold every value: convert the column, or pass "
            "--cast to round",
            feed.column.name, DTypeName(feed.column.dtype), input.name, DTypeName(input.dtype)));
  }
}

// Rows [begin, end) as the input wants them. A model of a fixed batch gets its last rows repeated.
Tensor FeedRows(const Feed& feed, const arrow::Table& table, int64_t begin, int64_t end) {
  Tensor rows = data::ColumnToTensor(*table.GetColumnByName(feed.column.name), feed.column, begin, end);
  if (rows.dtype() != feed.input->dtype) rows = rows.Cast(feed.input->dtype);
  Shape shape = feed.input->shape;
  const int64_t fixed = shape[0];
  shape[0] = end - begin;
  rows = rows.Reshaped(shape);
  if (fixed == -1 || fixed == end - begin) return rows;
  shape[0] = fixed;
  const Tensor padded = Tensor::New(rows.dtype(), shape);
  const size_t row_bytes = rows.bytes() / static_cast<size_t>(end - begin);
  for (int64_t row = 0; row < fixed; ++row) {
    const auto from = static_cast<size_t>(std::min(row, end - begin - 1));
    std::copy_n(static_cast<const char*>(rows.data()) + from * row_bytes, row_bytes,
                static_cast<char*>(padded.data()) + static_cast<size_t>(row) * row_bytes);
  }
  return padded;
}

// The columns of the answer, growing by chunks.
class Answer {
 public:
  void Keep(const arrow::Table& table, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      Append(table.schema()->GetFieldByName(name), table.GetColumnByName(name)->chunks());
    }
  }
  void Add(const std::string& name, const Tensor& rows, int64_t count) {
    if (rows.shape().empty() || rows.shape()[0] < count) {
      throw Error(Code::kUnsupported,
                  fmt::format("output {} is {} for {} rows: only outputs with a row for each row of "
                              "input become columns",
                              name, ShapeText(rows.shape()), count));
    }
    data::Column column;
    column.name = name;
    column.dtype = rows.dtype();
    column.shape = Shape(rows.shape().begin() + 1, rows.shape().end());
    std::shared_ptr<arrow::Field> field;
    const auto values = data::TensorToColumn(rows.Rows(0, count), column, &field);
    Append(field, values->chunks());
  }
  std::shared_ptr<arrow::Table> Table() const {
    std::vector<std::shared_ptr<arrow::Field>> fields;
    std::vector<std::shared_ptr<arrow::ChunkedArray>> columns;
    for (const std::string& name : order_) {
      fields.push_back(fields_.at(name));
      columns.push_back(std::make_shared<arrow::ChunkedArray>(chunks_.at(name), fields.back()->type()));
    }
    return arrow::Table::Make(arrow::schema(fields), columns);
  }

 private:
  void Append(const std::shared_ptr<arrow::Field>& field, const arrow::ArrayVector& chunks) {
    if (!fields_.contains(field->name())) {
      order_.push_back(field->name());
      fields_[field->name()] = field;
    }
    arrow::ArrayVector& all = chunks_[field->name()];
    all.insert(all.end(), chunks.begin(), chunks.end());
  }
  std::vector<std::string> order_;
  std::map<std::string, std::shared_ptr<arrow::Field>> fields_;
  std::map<std::string, arrow::ArrayVector> chunks_;
};

int Infer(Console& console, const InferOptions& options) {
  if (options.batch < 1)
    throw CLI::ValidationError("--batch", fmt::format("{}: expected 1 or more", options.batch));
  engine::SessionOptions session_options;
  session_options.threads = options.threads;
  const auto session = engine::Session::Load(options.model, session_options);
  const std::shared_ptr<arrow::Schema> schema = data::ReadSchema(options.data);

  std::vector<Feed> feeds;
  std::vector<std::string> columns = options.keep;
  int64_t batch = options.batch;
  for (const ValueInfo& input : session->inputs()) {
    feeds.push_back({&input, ColumnFor(input, *session, *schema, options.data)});
    CheckFeed(feeds.back(), options);
    if (input.shape[0] != -1) batch = input.shape[0];
    columns.push_back(feeds.back().column.name);
  }
  for (const ValueInfo& output : session->outputs()) {
    if (std::find(options.keep.begin(), options.keep.end(), output.name) != options.keep.end()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("--keep {} would hide the model's output of that name", output.name));
    }
  }
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());

  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  double running = 0;
  int64_t rows = 0;
  Answer answer;
  const std::vector<std::filesystem::path> files = data::ResolveFiles(options.data);
  for (const std::filesystem::path& file : files) {
    const std::shared_ptr<arrow::Table> table = data::ReadTable(file.string(), columns);
    answer.Keep(*table, options.keep);
    for (int64_t begin = 0; begin < table->num_rows(); begin += batch) {
      ThrowIfInterrupted();
      const int64_t end = std::min(begin + batch, table->num_rows());
      TensorMap inputs;
      for (const Feed& feed : feeds) inputs[feed.input->name] = FeedRows(feed, *table, begin, end);
      const Clock::time_point before = Clock::now();
      const TensorMap outputs = session->Run(inputs);
      running += std::chrono::duration<double>(Clock::now() - before).count();
      for (const ValueInfo& output : session->outputs())
        answer.Add(output.name, outputs.at(output.name), end - begin);
      console.Progress("infer", begin + (end - begin), table->num_rows(), file.filename().string());
    }
    rows += table->num_rows();
  }
  console.EndProgress();
  if (rows == 0) throw Error(Code::kInvalidArgument, fmt::format("{} has no rows", options.data));
  data::WriteParquet(*answer.Table(), options.output);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  console.Result({{"rows", rows},
                  {"output", options.output.string()},
                  {"seconds", seconds},
                  {"model_seconds", running},
                  {"rows_per_second", static_cast<double>(rows) / seconds}},
                 fmt::format("{} rows -> {} in {:.2f} s ({:.0f} rows/s, {:.0f} in the model)", rows,
                             options.output.string(), seconds, static_cast<double>(rows) / seconds,
                             static_cast<double>(rows) / running));
  return 0;
}

}  // namespace
}  // namespace strop::cli

int main(int argc, char** argv) {
  using namespace strop::cli;
  InferOptions options;
  return RunVerb(
      argc, argv,
      {"infer", "a model's answers to the rows of a source",
       "  strop infer model.onnx --data test.parquet -o answers.parquet --keep label\n"
       "  strop infer model.onnx --data 'rows/*.parquet' -o answers.parquet --batch 64"},
      [&](CLI::App& app) {
        app.add_option("model", options.model, "ONNX model")->required();
        app.add_option("--data", options.data, "Parquet or Arrow IPC: path, file:// URI or glob")->required();
        app.add_option("-o,--output", options.output,
                       "Parquet file to write: a column an output, in row order")
            ->required();
        app.add_option("--keep", options.keep, "columns to copy beside the outputs")->delimiter(',');
        app.add_option("--batch", options.batch, "rows a run")->capture_default_str();
        app.add_option("--threads", options.threads, "0: every usable CPU")->capture_default_str();
        app.add_flag("--cast", options.cast, "convert columns to the input's dtype even where that rounds");
      },
      [&](Console& console) { return Infer(console, options); });
}
