// strop tune: searches a trainer's parameters; with --final, trains the best of them once more and keeps the
// model.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/project.h"
#include "strop/cli/verb.h"
#include "strop/data/split.h"
#include "strop/tune/executor.h"
#include "strop/tune/json.h"
#include "strop/tune/report.h"
#include "strop/tune/study.h"
#include "strop/tune/trials_csv.h"

namespace strop::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using tune::TrialRecord;
using tune::TrialState;

struct TuneArguments {
  fs::path project = "strop.toml";
  std::vector<std::string> command;  // after --
  bool final = false;
  fs::path output;
  fs::path report, csv;
};

// A relative path is relative to the project, in a URL, too.
std::string StorageOf(const Project& project) {
  constexpr std::string_view kRelative = "sqlite:///";
  const std::string& storage = project.tune.storage;
  if (storage.empty()) return (project.loop.directory / "strop.db").string();
  if (storage.find("://") == std::string::npos) return (project.folder() / storage).string();
  if (!storage.starts_with(kRelative) || storage.size() == kRelative.size() ||
      storage == "sqlite:///:memory:")
    return storage;
  return std::string(kRelative) + (project.folder() / storage.substr(kRelative.size())).string();
}

tune::StudyOptions StudyOf(const Project& project) {
  tune::StudyOptions options;
  options.storage = StorageOf(project);
  options.name = project.tune.study;
  options.sampler = project.tune.sampler;
  options.seed = project.tune.seed;
  return options;
}

tune::Study OpenStudy(const Project& project) {
  if (project.tune.space.empty())
    throw Error(
        Code::kInvalidArgument,
        fmt::format(
            "{}: [tune.space] names no parameter: add one, as [tune.space.learning_rate] with type, low "
            "and high",
            project.file.string()));
  tune::StudyOptions options = StudyOf(project);
  options.space = tune::Space::FromProject(project.tune);
  options.directions = {project.tune.direction};
  options.metric = project.tune.metric;
  return tune::Study(std::move(options));
}

tune::ExecutorOptions Executor(const Project& project, const std::vector<std::string>& command) {
  tune::ExecutorOptions options;
  options.command = command.empty() ? project.train.command : command;
  if (options.command.empty())
    throw Error(
        Code::kInvalidArgument,
        fmt::format("{}: no trainer: set [train] command, or give one after --", project.file.string()));
  options.directory = project.folder();
  options.runs = project.loop.directory / "trials" / project.tune.study;
  options.metric = project.tune.metric;
  options.budget = project.tune.budget;
  options.jobs = project.tune.jobs;
  options.cpus = project.tune.cpus;
  options.gpus = project.tune.gpus;
  options.retries = project.tune.retries;
  options.silence = project.tune.trial_timeout;
  options.timeout = project.train.timeout;
  options.interrupted = Interrupted;
  if (!project.data.train.empty()) {
    const auto splits = data::WriteSplits(project.data.train, project.data.splits, project.data.seed,
                                          project.loop.directory / "data");
    auto file = [&](const char* name) {
      const auto found = splits.find(name);
      return found == splits.end() ? "" : found->second.string();
    };
    options.train = file("train");
    options.validation = file("validation");
  }
  return options;
}

std::string Number(double value) { return fmt::format("{:.6g}", value); }

std::string PlainText(const tune::ParamValue& value) {
  const auto* real = std::get_if<double>(&value);
  return real ? Number(*real) : tune::ValueText(value);
}

// The best trials, one a line.
std::string BestTable(const tune::Study& study, const tune::Space& space, std::vector<TrialRecord> trials,
                      const std::string& metric) {
  constexpr size_t kRows = 5;
  std::erase_if(trials, [](const TrialRecord& trial) { return trial.state != TrialState::kDone; });
  std::stable_sort(trials.begin(), trials.end(), [&](const TrialRecord& a, const TrialRecord& b) {
    return study.minimize() ? a.values[0] < b.values[0] : a.values[0] > b.values[0];
  });
  trials.resize(std::min(trials.size(), kRows));
  std::vector<std::vector<std::string>> rows = {{"trial", metric}};
  for (const tune::Parameter& parameter : space.parameters()) rows[0].push_back(parameter.name);
  for (const TrialRecord& trial : trials) {
    std::vector<std::string> row = {std::to_string(trial.number), Number(trial.values[0])};
    for (const tune::Parameter& parameter : space.parameters()) {
      const auto found = trial.params.find(parameter.name);
      row.push_back(found == trial.params.end() ? "-" : PlainText(found->second));
    }
    rows.push_back(std::move(row));
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      size_t width = 0;
      for (const auto& other : rows) width = std::max(width, other[column].size());
      text += fmt::format("{}{:>{}}", column == 0 ? "" : "  ", row[column], width);
    }
    text += '\n';
  }
  return text;
}

std::string Best(tune::Study& study, const std::string& metric) {
  const auto best = study.Best();
  return best ? fmt::format("best {} {} (trial {})", metric, Number(best->values[0]), best->number)
              : "none done yet";
}

int Search(const Project& project, const TuneArguments& arguments, Console& console) {
  const tune::ExecutorOptions options = Executor(project, arguments.command);
  tune::Study study = OpenStudy(project);
  std::string failure;  // the last
  // Of the study as it stands, whoever else works on it.
  struct Counts {
    int64_t finished = 0, failed = 0;
  };
  const auto count = [&] {
    Counts counts;
    for (const TrialRecord& trial : study.Trials()) {
      if (trial.state == TrialState::kRunning) continue;
      ++counts.finished;
      if (trial.state != TrialState::kFailed) continue;
      ++counts.failed;
      failure = fmt::format("trial {}: {}", trial.number, trial.error);
    }
    return counts;
  };
  // Trials that failed before this call do not count: a mended trainer gets all of its own.
  const Counts before = count();
  const auto progress = [&](int64_t finished) {
    console.Progress("tune", finished - before.failed, project.tune.trials, Best(study, options.metric));
  };
  if (before.finished > 0)
    console.Say(fmt::format("study {} goes on after {} trials", study.name(), before.finished));
  progress(before.finished);
  const bool exhausted =
      tune::RunStudy(study, options, project.tune.trials + before.failed, [&](const TrialRecord& trial) {
        if (trial.state == TrialState::kFailed)
          console.Say(fmt::format("trial {}: {}", trial.number, trial.error));
        progress(count().finished);
      });
  console.EndProgress();
  ThrowIfInterrupted();
  const auto [finished, failed] = count();
  const auto best = study.Best();
  if (!best)
    throw Error(Code::kFailedPrecondition,
                fmt::format("none of {} trials gave a value; the last: {}", finished, failure));
  std::string text = BestTable(study, study.space(), study.Trials(), options.metric);
  text += fmt::format("{} trials, {} failed", finished, failed);
  if (exhausted) text += "; every configuration of the space was tried";
  console.Result(
      {{"best",
        {{"trial", best->number}, {"params", tune::ToJson(best->params)}, {"value", best->values[0]}}},
       {"trials", finished},
       {"failed", failed}},
      text);
  return 0;
}

int Final(const Project& project, const TuneArguments& arguments, Console& console) {
  tune::ExecutorOptions options = Executor(project, arguments.command);
  tune::Study study = OpenStudy(project);
  auto best = study.Best();
  if (!best)
    throw Error(Code::kFailedPrecondition,
                fmt::format("study {} has no finished trial: run strop tune {} first", study.name(),
                            project.file.string()));
  options.budget = project.train.budget;
  options.jobs = 1;  // one trainer, so that it may have every CPU
  tune::StartMessage start = tune::StartOf(options, study.seed(), *best);
  start.out_dir = (options.runs / "final").string();
  console.Progress("train", 0, 0,
                   fmt::format("parameters of trial {}, budget {}", best->number, options.budget));
  const tune::TrainerResult result =
      tune::RunTrainer(options, study.space(), start, [&](int64_t step, double value, const tune::Metrics&) {
        console.Progress("train", step, 0, fmt::format("{} {}", options.metric, Number(value)));
        return true;
      });
  console.EndProgress();
  ThrowIfInterrupted();
  if (result.outcome != tune::TrainerResult::Outcome::kDone)
    throw Error(Code::kFailedPrecondition, fmt::format("the final training failed: {}", result.error));
  if (result.model.empty())
    throw Error(Code::kFailedPrecondition,
                "the final training named no model: its trainer must call strop.trial().save(model=PATH)");
  WriteFileAtomically(arguments.output, ReadFile(result.model));
  console.Result(
      {{"model", arguments.output.string()}, {"value", result.value}, {"params", tune::ToJson(best->params)}},
      fmt::format("{}: {} {}, parameters of trial {}", arguments.output.string(), options.metric,
                  Number(result.value), best->number));
  return 0;
}

// The study as it stands, also while it runs elsewhere. It keeps its own space and directions, whatever the
// project says by now.
int Results(const Project& project, const TuneArguments& arguments, Console& console) {
  tune::StudyOptions options = StudyOf(project);
  options.must_exist = true;
  tune::Study study(std::move(options));
  json result = {{"trials", study.Trials().size()}};
  std::string text = fmt::format("{} trials of study {}", study.Trials().size(), study.name());
  auto write = [&](const char* key, const fs::path& path, const std::string& bytes) {
    WriteFileAtomically(path, bytes);
    result[key] = path.string();
    text += fmt::format("\n{}", path.string());
  };
  if (!arguments.report.empty())
    write("report", arguments.report, tune::ReportHtml(study, {project.tune.metric}));
  if (!arguments.csv.empty()) write("csv", arguments.csv, tune::TrialsCsv(study));
  console.Result(result, text);
  return 0;
}

int Main(int argc, char** argv) {
  TuneArguments arguments;
  // What follows -- is the trainer's, options and all.
  char** const end = argv + argc;
  char** const dashes =
      std::find_if(argv, end, [](const char* argument) { return std::string_view(argument) == "--"; });
  const bool has_command = dashes != end;
  if (has_command) arguments.command.assign(dashes + 1, end);
  return RunVerb(
      static_cast<int>(dashes - argv), argv,
      {"tune", "Search a trainer's parameters; resumes by itself",
       "strop tune\nstrop tune project/strop.toml --json\nstrop tune -- python train.py --lr {lr} --epochs "
       "{budget}\n"
       "strop tune --report report.html --csv trials.csv\nstrop tune --final -o model.onnx"},
      [&](CLI::App& app) {
        app.add_option("project", arguments.project, "The project file")->type_name("strop.toml");
        CLI::Option* final = app.add_flag(
            "--final", arguments.final, "Train once more with the best parameters, at the budget of [train]");
        CLI::Option* output =
            app.add_option("-o,--output", arguments.output, "Where the model of --final goes")
                ->type_name("MODEL.onnx");
        final->needs(output);
        output->needs(final);
        app.add_option("--report", arguments.report,
                       "Write the study as it stands as one HTML page, and search nothing")
            ->type_name("OUT.html")
            ->excludes(final);
        app.add_option("--csv", arguments.csv, "Write its trials as CSV, and search nothing")
            ->type_name("OUT.csv")
            ->excludes(final);
        app.description(
            "Search a trainer's parameters; resumes by itself.\n"
            "A command after -- replaces that of [train]. In it {name} is a parameter of [tune.space], or "
            "data, "
            "validation, budget, seed or out_dir.");
      },
      [&](Console& console) {
        if (has_command && arguments.command.empty())
          throw CLI::ValidationError("--", "expected a command after it");
        const bool results = !arguments.report.empty() || !arguments.csv.empty();
        if (has_command && results)
          throw CLI::ValidationError("--", "no command runs with --report or --csv");
        const Project project = Project::Load(arguments.project);
        if (results) return Results(project, arguments, console);
        return arguments.final ? Final(project, arguments, console) : Search(project, arguments, console);
      });
}

}  // namespace
}  // namespace strop::cli

int main(int argc, char** argv) { return strop::cli::Main(argc, argv); }
