#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/cpu.h"
#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/project.h"
#include "strop/base/rng.h"
#include "strop/base/threads.h"
#include "strop/cli/verb.h"
#include "strop/compress/compress.h"
#include "strop/compress/latency.h"
#include "strop/compress/predict.h"
#include "strop/compress/report.h"
#include "strop/data/table.h"
#include "strop/engine/plan.h"
#include "strop/engine/session.h"
#include "strop/model/graph.h"
#include "strop/train/columns.h"

namespace strop::cli {
namespace {

struct CompressArguments {
  std::filesystem::path model, output, report;
  std::string data, evaluation, label = "label", budget = "10m", block, teacher;
  compress::CompressOptions options;
  int64_t bits = 8, clusters = 0, calibration_rows = 2000, batch = 1;
  double sparsity = 0;
};

// The model's inputs and the label, a row for every row of the source.
struct Rows {
  TensorMap inputs;
  Tensor labels;
};

constexpr double kLargestCalibrationShare = 0.2;  // of the rows when one source gives both
constexpr uint64_t kSplitStream = 1;
constexpr double kTimingSeconds = 1.5;

Rows ReadRows(const std::string& uri, const model::Graph& graph, const std::string& label) {
  const std::vector<data::Column> columns = data::DescribeSchema(*data::ReadSchema(uri));
  const std::map<std::string, data::Column> matched = train::MatchInputs(graph.inputs, columns, label);
  std::vector<std::string> names = {label};
  for (const auto& [input, column] : matched) names.push_back(column.name);
  const TensorMap tensors = data::ReadTensors(uri, names);
  Rows rows;
  rows.labels = tensors.at(label);
  for (const model::ValueInfo& input : graph.inputs) {
    rows.inputs[input.name] = train::FitToInput(tensors.at(matched.at(input.name).name), input);
  }
  return rows;
}

Tensor Gather(const Tensor& tensor, const std::vector<int64_t>& rows) {
  Shape shape = tensor.shape();
  shape[0] = static_cast<int64_t>(rows.size());
  Tensor result = Tensor::New(tensor.dtype(), shape);
  const size_t row_bytes = rows.empty() ? 0 : result.bytes() / rows.size();
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(static_cast<std::byte*>(result.data()) + i * row_bytes,
                static_cast<const std::byte*>(tensor.data()) + static_cast<size_t>(rows[i]) * row_bytes,
                row_bytes);
  }
  return result;
}

Rows Gather(const Rows& from, const std::vector<int64_t>& rows) {
  Rows result;
  for (const auto& [name, tensor] : from.inputs) result.inputs[name] = Gather(tensor, rows);
  result.labels = Gather(from.labels, rows);
  return result;
}

// Rows spread evenly over a source that may be sorted.
std::vector<int64_t> Spread(int64_t rows, int64_t wanted) {
  std::vector<int64_t> chosen(static_cast<size_t>(std::min(rows, wanted)));
  for (size_t i = 0; i < chosen.size(); ++i) {
    chosen[i] = static_cast<int64_t>(i) * rows / static_cast<int64_t>(chosen.size());
  }
  return chosen;
}

struct RowPlan {
  Rows calibration, evaluation;
  nlohmann::json split;  // null unless one source was split
};

RowPlan ReadBoth(const CompressArguments& arguments, const model::Graph& graph) {
  RowPlan plan;
  Rows all = ReadRows(arguments.data, graph, arguments.label);
  const int64_t rows = all.labels.shape()[0];
  if (!arguments.evaluation.empty()) {
    train::RequireOtherFiles(arguments.data, arguments.evaluation,
                             "rows that calibrate must not judge; leave --eval out to have --data split");
    plan.calibration = Gather(all, Spread(rows, arguments.calibration_rows));
    plan.evaluation = ReadRows(arguments.evaluation, graph, arguments.label);
    return plan;
  }
  std::vector<int64_t> order(static_cast<size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  Rng rng(arguments.options.seed, kSplitStream);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.Below(i)]);
  const auto calibration = std::min(
      arguments.calibration_rows,
      std::max<int64_t>(1, static_cast<int64_t>(kLargestCalibrationShare * static_cast<double>(rows))));
  plan.calibration = Gather(all, {order.begin(), order.begin() + calibration});
  plan.evaluation = Gather(all, {order.begin() + calibration, order.end()});
  plan.split = {
      {"seed", arguments.options.seed}, {"calibration", calibration}, {"evaluation", rows - calibration}};
  return plan;
}

void RefuseWhatIsNotYetBuilt(const CompressArguments& arguments, const CLI::App& app) {
  const auto refuse = [](const std::string& what) {
    throw Error(Code::kUnsupported,
                fmt::format("{} is not yet built: this version quantises to INT8 only", what));
  };
  if (arguments.bits != 8) refuse(fmt::format("--bits {}", arguments.bits));
  for (const std::string flag : {"--sparsity", "--block", "--clusters", "--teacher"}) {
    if (app.count(flag) > 0) refuse(flag);
  }
}

// Both models as they will be served: each with the plan that timing chose for it on this machine.
compress::Latency MeasureLatency(const CompressArguments& arguments, const TensorMap& evaluation) {
  engine::TuneOptions tune;
  tune.threads = arguments.options.threads;
  tune.batch = arguments.batch;
  tune.seconds = kTimingSeconds;
  engine::TunePlan(arguments.output, tune);
  const std::filesystem::path baseline_plan = TemporaryBeside(engine::PlanPath(arguments.output));
  engine::SavePlan(engine::MakePlan(arguments.model, tune), baseline_plan);
  engine::SessionOptions before, after;
  before.threads = after.threads = arguments.options.threads;
  before.plan = baseline_plan;
  const auto f32 = engine::Session::Load(arguments.model, before);
  std::filesystem::remove(baseline_plan);
  const auto int8 = engine::Session::Load(arguments.output, after);
  TensorMap inputs;
  for (const model::ValueInfo& input : f32->inputs()) {
    const Tensor& rows = evaluation.at(input.name);
    const int64_t wanted = !input.shape.empty() && input.shape[0] > 0 ? input.shape[0] : arguments.batch;
    std::vector<int64_t> chosen(static_cast<size_t>(wanted));
    for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = static_cast<int64_t>(i) % rows.shape()[0];
    inputs[input.name] = Gather(rows, chosen);
  }
  return compress::CompareLatency(*f32, *int8, inputs, kTimingSeconds);
}

nlohmann::json ToJson(const compress::CompressResult& result, const compress::ReportFacts& facts) {
  nlohmann::json layers = nlohmann::json::array(), attempts = nlohmann::json::array();
  for (const compress::LayerResult& layer : result.layers) {
    layers.push_back(
        {{"layer", layer.layer}, {"op", layer.op}, {"bits", layer.bits}, {"sensitivity", layer.sensitivity}});
  }
  for (const compress::Attempt& attempt : result.attempts) {
    attempts.push_back({{"float_layers", attempt.float_layers},
                        {"quality", attempt.quality.candidate},
                        {"interval", {attempt.quality.interval.low, attempt.quality.interval.high}}});
  }
  return {{"model", facts.output},
          {"metric", result.metric},
          {"baseline", {{"value", result.quality.baseline}}},
          {"quality", result.quality.candidate},
          {"interval", {result.quality.interval.low, result.quality.interval.high}},
          {"drop", -result.quality.gain},
          {"max_drop", facts.max_drop},
          {"evaluation_rows", result.quality.rows},
          {"calibration_rows", result.calibration_rows},
          {"bytes_before", facts.bytes_before},
          {"bytes_after", facts.bytes_after},
          {"speedup", facts.latency.speedup},
          {"latency_before", facts.latency.before},
          {"latency_after", facts.latency.after},
          {"batch", facts.batch},
          {"threads", facts.threads},
          {"cpu", facts.cpu},
          {"layers", layers},
          {"attempts", attempts}};
}

std::string Text(const compress::CompressResult& result, const compress::ReportFacts& facts) {
  const auto floats = std::ranges::count(result.layers, 32, &compress::LayerResult::bits);
  return fmt::format(
      "{}: {} of {} layers in INT8\n"
      "  {} {:.4f} -> {:.4f}, change {:+.4f} (95% interval {:+.4f} to {:+.4f}) on {} rows\n"
      "  {} -> {} bytes ({:.2f}x smaller)\n"
      "  {:.3f} ms -> {:.3f} ms ({:.2f}x faster) at batch {}, {} threads\n",
      facts.output, static_cast<int64_t>(result.layers.size()) - floats, result.layers.size(), result.metric,
      result.quality.baseline, result.quality.candidate, result.quality.gain, result.quality.interval.low,
      result.quality.interval.high, result.quality.rows, facts.bytes_before, facts.bytes_after,
      static_cast<double>(facts.bytes_before) / static_cast<double>(facts.bytes_after),
      facts.latency.before * 1e3, facts.latency.after * 1e3, facts.latency.speedup, facts.batch,
      facts.threads);
}

void AddOptions(CLI::App& app, CompressArguments& arguments) {
  compress::CompressOptions& options = arguments.options;
  app.add_option("model", arguments.model, "The f32 ONNX model")->required();
  app.add_option("-o,--output", arguments.output, "Where the compressed model goes")->required();
  app.add_option("--data", arguments.data, "Rows to calibrate on: a path or glob of Parquet or Arrow files")
      ->required();
  app.add_option("--eval", arguments.evaluation, "Rows to judge on; without it --data is split by --seed");
  app.add_option("--label", arguments.label, "Column with the label")->capture_default_str();
  app.add_option("--metric", options.metric, "accuracy, f1, auc, pr_auc, ndcg@K or rmse")
      ->capture_default_str();
  app.add_option("--max-drop", options.max_drop,
                 "Most that the metric may fall, absolute, at the bad end of the 95% interval")
      ->capture_default_str();
  app.add_option("--budget", arguments.budget, "Time for the search, as in 90s, 10m, 2h")
      ->capture_default_str();
  app.add_option("--bits", arguments.bits, "8")->capture_default_str();
  app.add_option("--sparsity", arguments.sparsity, "Share of weights to prune (not yet built)");
  app.add_option("--block", arguments.block, "Shape of a pruned block, as in 4x1 (not yet built)");
  app.add_option("--clusters", arguments.clusters, "Weights a layer may tell apart (not yet built)");
  app.add_option("--teacher", arguments.teacher, "Model to learn from (not yet built)");
  app.add_option("--calibration-rows", arguments.calibration_rows, "Rows taken to calibrate at most")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of the split and of bootstrap intervals")->capture_default_str();
  app.add_option("--batch", arguments.batch, "Rows a run when latency is measured")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: every usable CPU")->capture_default_str();
  app.add_option("--report", arguments.report, "Where to write a page about the outcome");
}

int Run(CompressArguments& arguments, const CLI::App& app, Console& console) {
  RefuseWhatIsNotYetBuilt(arguments, app);
  arguments.options.budget = ParseDuration(arguments.budget);
  const model::Graph graph = model::Graph::Load(arguments.model);
  const RowPlan rows = ReadBoth(arguments, graph);
  compress::CompressResult result =
      compress::Compress(graph, rows.calibration.inputs, rows.evaluation.inputs, rows.evaluation.labels,
                         arguments.options, [&](const std::string& what, int64_t done, int64_t total) {
                           ThrowIfInterrupted();
                           console.Progress(what, done, total);
                         });
  if (!rows.split.is_null()) result.model.metadata["strop.split"] = rows.split.dump();
  result.model.Save(arguments.output);

  compress::ReportFacts facts;
  facts.model = arguments.model.string();
  facts.output = arguments.output.string();
  facts.bytes_before = static_cast<int64_t>(std::filesystem::file_size(arguments.model));
  facts.bytes_after = static_cast<int64_t>(std::filesystem::file_size(arguments.output));
  facts.batch = arguments.batch;
  facts.threads = arguments.options.threads > 0 ? arguments.options.threads : UsableCpus();
  facts.cpu = CpuModel();
  facts.max_drop = arguments.options.max_drop;
  console.Progress("measuring latency", 0, 1);
  facts.latency = MeasureLatency(arguments, rows.evaluation.inputs);
  if (!arguments.report.empty()) WriteFileAtomically(arguments.report, compress::ReportHtml(result, facts));

  nlohmann::json json = ToJson(result, facts);
  json["split"] = rows.split;
  console.Result(json, Text(result, facts));
  return 0;
}

}  // namespace
}  // namespace strop::cli

int main(int argc, char** argv) {
  strop::cli::CompressArguments arguments;
  const CLI::App* app = nullptr;
  const strop::cli::VerbInfo info = {"compress",
                                     "Quantise an ONNX model to INT8 within a limit on its quality",
                                     "strop compress model.onnx -o int8.onnx --data calibration.parquet "
                                     "--eval held.parquet --label label --max-drop 0.01"};
  return strop::cli::RunVerb(
      argc, argv, info,
      [&](CLI::App& made) {
        app = &made;
        strop::cli::AddOptions(made, arguments);
      },
      [&](strop::cli::Console& console) { return strop::cli::Run(arguments, *app, console); });
}
