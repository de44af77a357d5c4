#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/cli/verb.h"
#include "strop/data/table.h"
#include "strop/feed/loader.h"
#include "strop/model/graph.h"
#include "strop/train/columns.h"
#include "strop/train/trainer.h"
#include "strop/tune/trial.h"

namespace strop::cli {
namespace {

struct TrainArguments {
  std::filesystem::path model, output;
  std::string data, validation, optimizer = "adamw";
  train::FitOptions fit;
  int64_t batch = 128;
  bool constant_rate = false;
  CLI::App* app = nullptr;  // that read them

  bool Given(const char* option) const { return app->count(option) > 0; }
};

// libstrop_train needs torch's libraries. It is opened here, not linked, so that a missing torch is one clear
// line instead of the loader's.
const train::Entry& OpenTrainer() {
  void* library = dlopen("libstrop_train.so", RTLD_NOW | RTLD_LOCAL);
  void* symbol = library != nullptr ? dlsym(library, "strop_train_entry") : nullptr;
  if (symbol == nullptr) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("needs torch {} in the same environment (pip install 'strop[train]'): {}",
                            STROP_TORCH_VERSION, dlerror()));
  }
  return reinterpret_cast<const train::Entry& (*)()>(symbol)();
}

// The loader's batches under the names of the model's inputs.
class LoaderSource : public train::BatchSource {
 public:
  LoaderSource(const std::string& uri, const model::Graph& graph, const std::string& label, int64_t batch,
               bool shuffle, uint64_t seed)
      : inputs_(graph.inputs), label_(label) {
    const std::vector<data::Column> columns = data::DescribeSchema(*data::ReadSchema(uri));
    if (std::ranges::find(columns, label, &data::Column::name) == columns.end()) {
      std::string names;
      for (const data::Column& column : columns) names += (names.empty() ? "" : ", ") + column.name;
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} has no column '{}' for the label: it has {}", uri, label, names));
    }
    columns_ = train::MatchInputs(inputs_, columns, label);
    feed::LoaderOptions options;
    options.sources = {{{uri}}};
    options.batch_size = batch;
    options.shuffle = shuffle;
    options.seed = seed;
    options.columns = {label};
    for (const auto& [input, column] : columns_) options.columns.push_back(column.name);
    loader_ = feed::Loader::Open(options);
  }

  std::optional<TensorMap> Next() override {
    const std::optional<feed::Batch> batch = loader_->Next();
    if (!batch) return std::nullopt;
    TensorMap tensors;
    for (const model::ValueInfo& input : inputs_) {
      tensors[input.name] = train::FitToInput(batch->tensors.at(columns_.at(input.name).name), input);
    }
    tensors[label_] = batch->tensors.at(label_);
    return tensors;
  }
  int64_t batches() const override { return loader_->batches(); }

 private:
  std::vector<model::ValueInfo> inputs_;
  std::string label_;
  std::map<std::string, data::Column> columns_;
  std::unique_ptr<feed::Loader> loader_;
};

void AddOptions(CLI::App& app, TrainArguments& arguments) {
  arguments.app = &app;
  app.add_option("model", arguments.model, "The ONNX model to start from")->required();
  app.add_option("--data", arguments.data,
                 "Labelled rows to train on: a path or glob of Parquet or Arrow files");
  app.add_option("--label", arguments.fit.label, "Column with the label")->required();
  app.add_option("-o,--output", arguments.output, "Where the trained model goes");
  app.add_option("--validation", arguments.validation, "Labelled rows that decide which epoch is kept");
  app.add_option("--epochs", arguments.fit.epochs, "Passes over the data")->capture_default_str();
  app.add_option("--learning-rate", arguments.fit.learning_rate, "Of the first step")->capture_default_str();
  app.add_flag("--constant-rate", arguments.constant_rate,
               "Keep the learning rate instead of letting it fall to zero");
  app.add_option("--weight-decay", arguments.fit.weight_decay, "0 to 1")->capture_default_str();
  app.add_option("--optimizer", arguments.optimizer, "adamw or adam")
      ->check(CLI::IsMember({"adamw", "adam"}))
      ->capture_default_str();
  app.add_option("--metric", arguments.fit.metric,
                 "On validation: accuracy for classes and rmse for values unless given");
  app.add_option("--batch", arguments.batch, "Rows a step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--seed", arguments.fit.seed, "Of the order of rows and of Dropout")->capture_default_str();
  app.add_option("--threads", arguments.fit.threads, "0: every usable CPU")->capture_default_str();
}

// A parameter of the trial is the option of its name: learning_rate is --learning-rate.
void SetOption(CLI::App& app, const std::string& parameter, const std::string& value) {
  std::string name = "--" + parameter;
  std::replace(name.begin(), name.end(), '_', '-');
  CLI::Option* option = app.get_option_no_throw(name);
  if (option == nullptr) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("the trial's parameter {} is no option of strop train: expected one of its --help, "
                    "as learning_rate for --learning-rate",
                    parameter));
  }
  option->clear();
  option->add_result(value);
  option->run_callback();
}

// What the command line left open is as the trial says.
void TakeFrom(const tune::StartMessage& start, TrainArguments& arguments) {
  const auto open = [&](const char* option) { return !arguments.Given(option); };
  if (!start.from.empty()) arguments.model = start.from;
  if (open("--data")) arguments.data = start.train;
  if (open("--validation")) arguments.validation = start.validation;
  if (open("--output")) arguments.output = std::filesystem::path(start.out_dir) / "model.onnx";
  if (open("--epochs")) arguments.fit.epochs = std::max(1, static_cast<int>(std::lround(start.budget)));
  if (open("--seed")) arguments.fit.seed = start.seed;
  if (open("--metric") && start.metric != "loss") arguments.fit.metric = start.metric;
  for (const auto& [name, value] : start.params) SetOption(*arguments.app, name, tune::ValueText(value));
  if (arguments.validation.empty() && start.metric != "loss") {
    throw Error(Code::kInvalidArgument,
                fmt::format("the study looks at {}, which needs rows to judge on: give "
                            "--validation, or [tune] metric = \"loss\"",
                            start.metric));
  }
}

void RequireArguments(const TrainArguments& arguments) {
  if (arguments.data.empty()) throw CLI::RequiredError("--data");
  if (arguments.output.empty()) throw CLI::RequiredError("--output");
}

std::string Text(const train::FitResult& result, const std::string& output, double seconds) {
  std::string text = fmt::format("{}: {} epochs of {} rows in {:.1f}s, loss {:.4f}", output, result.epochs,
                                 result.rows, seconds, result.train_loss);
  if (result.stopped) text += "; stopped before the last epoch";
  if (!result.validation) return text;
  text += fmt::format("; validation {} {:.4f} -> {:.4f}", result.validation->metric,
                      result.validation->before, result.validation->after);
  if (result.kept_epoch == 0) {
    text += " (no epoch was better: the model is the one given)";
  } else if (result.kept_epoch < result.epochs) {
    text += fmt::format(" (of epoch {})", result.kept_epoch);
  }
  return text;
}

nlohmann::json Json(const train::FitResult& result, const std::string& output, double seconds) {
  nlohmann::json json = {{"model", output},
                         {"epochs", result.epochs},
                         {"kept_epoch", result.kept_epoch},
                         {"stopped", result.stopped},
                         {"train_loss", result.train_loss},
                         {"validation", nullptr},
                         {"rows", result.rows},
                         {"seconds", seconds}};
  if (result.validation) {
    json["validation"] = {{"metric", result.validation->metric},
                          {"before", result.validation->before},
                          {"after", result.validation->after}};
  }
  return json;
}

// What is told of an epoch: its validation under the name that the study looks at, and its loss.
tune::Metrics EpochMetrics(const train::FitProgress& now, const std::string& metric) {
  tune::Metrics metrics = {{"loss", now.loss}};
  if (now.validation) metrics[metric] = *now.validation;
  return metrics;
}

int Run(TrainArguments& arguments, Console& console) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<tune::Trial> trial = tune::Trial::FromEnvironment();
  if (trial) TakeFrom(trial->start(), arguments);
  RequireArguments(arguments);
  train::FitOptions& fit = arguments.fit;
  fit.cosine = !arguments.constant_rate;
  fit.optimizer = arguments.optimizer == "adam" ? train::Optimizer::kAdam : train::Optimizer::kAdamW;

  const model::Graph graph = model::Graph::Load(arguments.model);
  std::unique_ptr<LoaderSource> validation;
  if (!arguments.validation.empty()) {
    train::RequireOtherFiles(arguments.data, arguments.validation,
                             "validation rows must not be training rows");
    validation = std::make_unique<LoaderSource>(arguments.validation, graph, fit.label, 512, false, 0);
  }
  LoaderSource training(arguments.data, graph, fit.label, arguments.batch, true, fit.seed);
  const train::Entry& trainer = OpenTrainer();
  const train::FitResult result =
      trainer.fit(graph, training, validation.get(), fit, [&](const train::FitProgress& now) {
        std::string note = fmt::format("epoch {}/{}, loss {:.4f}", now.epoch, fit.epochs, now.loss);
        if (now.validation) note += fmt::format(", validation {:.4f}", *now.validation);
        console.Progress("training", now.step, now.steps, note);
        if (trial && now.epoch_over) trial->Report(now.epoch, EpochMetrics(now, trial->start().metric));
        return !Interrupted() && !(trial && trial->should_stop());
      });
  if (result.stopped && result.epochs == 0) {
    throw Error(Code::kCancelled, "stopped before the end of the first epoch; nothing is written");
  }
  result.model.Save(arguments.output);
  if (trial) {
    tune::Metrics kept;
    if (result.validation) kept[trial->start().metric] = result.validation->after;
    trial->Done(kept, std::filesystem::absolute(arguments.output));
  }

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  console.Result(Json(result, arguments.output.string(), seconds),
                 Text(result, arguments.output.string(), seconds));
  return result.stopped && Interrupted() ? 130 : 0;
}

}  // namespace
}  // namespace strop::cli

int main(int argc, char** argv) {
  strop::cli::TrainArguments arguments;
  const strop::cli::VerbInfo info = {"train", "Fine-tune any ONNX model on labelled rows",
                                     "strop train model.onnx --data train.parquet --validation held.parquet "
                                     "--label label --epochs 3 -o tuned.onnx"};
  return strop::cli::RunVerb(
      argc, argv, info, [&](CLI::App& app) { strop::cli::AddOptions(app, arguments); },
      [&](strop::cli::Console& console) { return strop::cli::Run(arguments, console); });
}
