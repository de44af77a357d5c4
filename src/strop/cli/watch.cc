#include <algorithm>
#include <memory>
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
#include "strop/watch/detector.h"

namespace strop::cli {
namespace {

struct WatchOptions {
  std::string reference, stream, model;
  std::vector<std::string> columns;
  watch::MmdOptions mmd;
  int threads = 0;
};

const VerbInfo kInfo = {"watch", "Drift of recorded rows against a reference, window by window",
                        "  strop watch validation.parquet march.parquet\n"
                        "  strop watch validation.parquet march.parquet --model model.onnx --window 200 "
                        "--false-alarm-rows 100000"};

// Columns of a source as tensors, a window of rows at a time.
class Source {
 public:
  Source(const std::string& uri, const std::vector<std::string>& columns)
      : table_(data::ReadTable(uri, columns)) {}

  int64_t rows() const { return table_->num_rows(); }
  TensorMap Rows(int64_t begin, int64_t end) const {
    TensorMap rows;
    for (int i = 0; i < table_->num_columns(); ++i) {
      const auto column = data::DescribeColumn(*table_->schema()->field(i));
      rows[column.name] = data::ColumnToTensor(*table_->column(i), column, begin, end);
    }
    return rows;
  }

 private:
  std::shared_ptr<arrow::Table> table_;
};

// Those asked for; else those with the role input; else all that are not a label, id, time or split.
std::vector<std::string> ChooseColumns(const WatchOptions& options) {
  if (!options.columns.empty()) return options.columns;
  std::vector<std::string> inputs, others;
  for (const auto& column : data::DescribeSchema(*data::ReadSchema(options.reference))) {
    if (column.role == data::Role::kInput) inputs.push_back(column.name);
    if (column.role == data::Role::kNone) others.push_back(column.name);
  }
  if (inputs.empty()) inputs = others;
  if (inputs.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} has no input column: name one with --column", options.reference));
  }
  return inputs;
}

// The model's penultimate activation of rows.
class Activations {
 public:
  Activations(const std::string& model, int threads) {
    model::Graph graph = model::Graph::Load(model);
    tap_ = model::Penultimate(graph);
    if (tap_.empty())
      throw Error(Code::kUnsupported, fmt::format("{} has no weighted layer to watch the input of", model));
    engine::SessionOptions options;
    options.threads = threads;
    options.taps = {tap_};
    session_ = engine::Session::Make(std::move(graph), options);
  }
  const std::string& tap() const { return tap_; }
  Tensor Of(const TensorMap& rows) const {
    TensorMap inputs;
    for (const auto& input : session_->inputs()) {
      auto found = rows.find(input.name);
      if (found == rows.end() && rows.size() == 1 && session_->inputs().size() == 1) found = rows.begin();
      if (found == rows.end()) {
        throw Error(Code::kNotFound,
                    fmt::format("the model's input {} is no column: name its columns alike", input.name));
      }
      Tensor tensor = found->second;
      Shape shape = input.shape;
      if (shape.empty() || (shape[0] != -1 && shape[0] != tensor.shape()[0])) {
        throw Error(Code::kUnsupported, fmt::format("input {} is {}: expected any number of rows first",
                                                    input.name, ShapeText(input.shape)));
      }
      shape[0] = tensor.shape()[0];
      if (ElementCount(shape) == tensor.size()) tensor = tensor.Reshaped(shape);
      inputs[input.name] = tensor.dtype() == input.dtype ? tensor : tensor.Cast(input.dtype);
    }
    return session_->Run(inputs, {tap_}).at(tap_);
  }

 private:
  std::string tap_;
  std::unique_ptr<engine::Session> session_;
};

// What is watched of a batch of rows, by the detectors' names.
TensorMap Watched(const TensorMap& rows, const Activations* activations) {
  if (!activations) return rows;
  TensorMap watched = rows;
  watched["activation"] = activations->Of(rows);
  return watched;
}

std::string AlarmText(const std::string& name, int64_t begin, int64_t end, const watch::Verdict& verdict) {
  const auto& evidence = verdict.evidence;
  return fmt::format(
      "rows {} to {}: {} drifts: score {:.4g} above {:.4g} (p = {:.1e}); column {:.0f} moved most, by "
      "{:+.2g} "
      "standard deviations",
      begin, end - 1, name, verdict.score, verdict.threshold, evidence.at("p_value"),
      evidence.at("shift_1_index"), evidence.at("shift_1"));
}

int Run(Console& console, const WatchOptions& options) {
  options.mmd.Validate();
  const auto columns = ChooseColumns(options);
  std::unique_ptr<Activations> activations;
  if (!options.model.empty()) activations = std::make_unique<Activations>(options.model, options.threads);
  const Source reference(options.reference, columns), stream(options.stream, columns);

  std::vector<std::unique_ptr<watch::Detector>> detectors;
  for (const auto& [name, rows] : Watched(reference.Rows(0, reference.rows()), activations.get())) {
    detectors.push_back(watch::MakeMmd(name, rows, options.mmd));
  }
  nlohmann::json windows = nlohmann::json::array();
  nlohmann::json first_alarm = nullptr;
  int64_t alarms = 0, judged = 0;
  for (int64_t begin = 0; begin + options.mmd.window <= stream.rows();
       begin += options.mmd.window, ++judged) {
    ThrowIfInterrupted();
    const int64_t end = begin + options.mmd.window;
    const TensorMap watched = Watched(stream.Rows(begin, end), activations.get());
    for (const auto& detector : detectors) {
      const watch::Verdict verdict = detector->Update(watched.at(detector->name()));
      nlohmann::json window = nlohmann::json::parse(verdict.ToJson());
      window["column"] = detector->name();
      window["row"] = begin;
      windows.push_back(std::move(window));
      if (!verdict.drift) continue;
      ++alarms;
      if (first_alarm.is_null()) first_alarm = begin;
      console.Say(AlarmText(detector->name(), begin, end, verdict));
    }
    console.Progress("watching", end, stream.rows());
  }
  console.EndProgress();
  if (judged == 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} has {} rows, less than a window of {}: choose a smaller --window",
                            options.stream, stream.rows(), options.mmd.window));
  }
  console.Result(
      {{"reference", options.reference},
       {"stream", options.stream},
       {"window", options.mmd.window},
       {"false_alarm_rows", options.mmd.false_alarm_rows},
       {"alarms", alarms},
       {"first_alarm_row", first_alarm},
       {"windows", windows}},
      fmt::format(
          "{} windows of {} rows, {} alarms (one in {} rows is to be expected without drift, of each of {} "
          "detectors)",
          judged, options.mmd.window, alarms, options.mmd.false_alarm_rows, detectors.size()));
  return 0;
}

void Setup(CLI::App& app, WatchOptions& options) {
  app.add_option("REFERENCE", options.reference,
                 "Rows as they should be: Parquet or Arrow IPC, a path or glob")
      ->required();
  app.add_option("STREAM", options.stream, "Rows in the order in which they came")->required();
  app.add_option("--column", options.columns,
                 "A column to watch; may be repeated (default: those with the role input)");
  app.add_option("--model", options.model, "Watch this ONNX model's penultimate activation, too");
  app.add_option("--window", options.mmd.window, "Rows a decision is taken on")->capture_default_str();
  app.add_option("--false-alarm-rows", options.mmd.false_alarm_rows,
                 "Mean rows between false alarms of a detector")
      ->capture_default_str();
  app.add_option("--features", options.mmd.features, "Random Fourier features")->capture_default_str();
  app.add_option("--seed", options.mmd.seed, "Of the features")->capture_default_str();
  app.add_option("--threads", options.threads, "Of the model; 0: every usable CPU")->capture_default_str();
}

}  // namespace
}  // namespace strop::cli

int main(int argc, char** argv) {
  strop::cli::WatchOptions options;
  return strop::cli::RunVerb(
      argc, argv, strop::cli::kInfo, [&](CLI::App& app) { strop::cli::Setup(app, options); },
      [&](strop::cli::Console& console) { return strop::cli::Run(console, options); });
}
