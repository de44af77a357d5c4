#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "strop/base/api.h"

namespace strop {

// The contents of strop.toml. Every key has the default below; Load refuses unknown sections and keys, wrong
// types, wrong units and values out of range with kInvalidArgument and one line:
//   strop.toml:12: [tune] trials = "many": expected a whole number from 1 to 1000000
// Durations are strings with a unit: "250ms", "30s", "10m", "2h". Relative paths are relative to the file's
// folder, and absolute once loaded. The keys, their ranges and their documentation stand in one table,
// project_keys.cc.

// Where rows lie and what their columns mean.
struct DataSection {
  std::string train;            // URI or glob of labelled rows (Parquet)
  std::string label = "label";  // column with the label
  // Columns fed to the model; empty: those with the role "input", else all others.
  std::vector<std::string> inputs;
  std::string id;    // column that names a row; empty: none
  std::string time;  // column with the event time; empty: none
  // Shares of `train`, summing to 1; rows are dealt by (seed, row).
  std::map<std::string, double> splits = {
      {"train", 0.8}, {"validation", 0.1}, {"calibration", 0.05}, {"evaluation", 0.05}};
  uint64_t seed = 0;
};

// The user's trainer: any command (see the trial protocol in docs/trial.md).
struct TrainSection {
  std::vector<std::string> command;  // {name}, {data}, {validation}, {budget}, {seed}, {out_dir} are replaced
  double budget = 1;                 // of the final training, in the trainer's unit (epochs, steps, …)
  std::chrono::milliseconds timeout = std::chrono::minutes(30);  // of one training run
  double retrain_budget = 2;                                     // epochs of `strop train` after drift
  double retrain_learning_rate = 1e-3;
};

struct FloatRange {
  double low = 0, high = 1;
  bool log = false;
  double step = 0;  // low, low + step, … up to high; 0: continuous
};
struct IntRange {
  int64_t low = 0, high = 1;
  bool log = false;
  int64_t step = 1;
};
using ChoiceValue = std::variant<bool, int64_t, double, std::string>;
struct ChoiceList {
  std::vector<ChoiceValue> values;
};

// [tune.space.NAME] type = "float" | "int" | "choice"; low, high, log or step | values; when = { OTHER =
// VALUE }
struct ParameterSection {
  std::variant<FloatRange, IntRange, ChoiceList> domain;
  std::map<std::string, ChoiceValue> when;  // active only if each named choice has that value
};

struct TuneSection {
  std::string study = "study";
  std::string storage;  // URL of the store; empty: strop.db of the loop's directory
  std::map<std::string, ParameterSection> space;
  std::vector<std::string> constraints;  // of the parameters: "batch * accumulate <= 512"
  int64_t trials = 20;
  int64_t jobs = 1;                    // trainers at a time
  int64_t cpus = 0, gpus = 0;          // of one trainer, its own; 0: shared
  int64_t retries = 0;                 // of a trial whose trainer failed
  double budget = 1;                   // of one trial, in the trainer's unit
  std::string metric = "value";        // which reported metric counts
  std::string direction = "minimize";  // maximize
  std::string sampler = "auto";        // gp, tpe, cmaes, random, sobol, grid
  uint64_t seed = 0;
  // A trainer silent for so long is stopped.
  std::chrono::milliseconds trial_timeout = std::chrono::minutes(10);
};

struct CompressSection {
  std::string metric = "accuracy";
  double max_drop = 0.01;  // absolute, in the metric's unit, met by the bad end of the 95% interval
  int64_t bits = 8;
};

struct ServeSection {
  std::string name = "model";           // as clients name it
  std::string http = "127.0.0.1:8000";  // port 0: any free one
  int64_t threads = 0;                  // of inference; 0: every usable CPU
  double capture = 1.0;                 // share of requests whose inputs and outputs are kept
  int64_t capture_rows = 100000;        // kept at most; the oldest unlabelled go first
};

struct WatchSection {
  std::vector<std::string> detectors = {"input", "activation"};  // what MMD is computed on
  int64_t window = 200;                                          // rows a decision is taken on
  int64_t reference_rows = 2000;                                 // of the validation split
  int64_t false_alarm_rows = 100000;  // mean rows between false alarms, by which thresholds are calibrated
  int64_t features = 512;             // random Fourier features
  double uniform_share = 0.1;         // of captured requests offered for labelling whatever the model says
  double uncertain_share = 0.2;       // of captured requests offered because they are the most uncertain
};

struct LoopSection {
  std::filesystem::path directory = ".strop";  // models, runs, logs and the store strop.db
  int64_t retrain_labels = 500;                // labels gathered after the alarm before retraining
  int64_t validation_labels = 300;             // of them, from the uniform share, kept for validation
  double guardrail = 0.0;  // a candidate may be worse than the champion by so much at the bad end
  // A command run beside the loop once it serves (replayed traffic, a labeller).
  std::vector<std::string> companion;
};

struct STROP_API Project {
  std::filesystem::path file;  // absolute
  std::filesystem::path folder() const { return file.parent_path(); }

  DataSection data;
  TrainSection train;
  TuneSection tune;
  CompressSection compress;
  ServeSection serve;
  WatchSection watch;
  LoopSection loop;

  // Throws kNotFound when the file is not there.
  static Project Load(const std::filesystem::path& file);
  // The same for text, as if it stood in `file`.
  static Project Parse(const std::string& text, const std::filesystem::path& file);
};

// One key of strop.toml, for documents.
struct STROP_API ProjectKey {
  std::string section;        // "tune"
  std::string name;           // "trials"
  std::string accepted;       // "a whole number from 1 to 1000000"
  std::string default_value;  // as TOML
  std::string doc;
};
STROP_API std::vector<ProjectKey> ProjectKeys();

// Every key with its value, by section; [tune.space] as {NAME: {type, …}}.
STROP_API nlohmann::json ProjectJson(const Project& project);

// "250ms", "30s", "10m", "2h"; throws kInvalidArgument that lists the units.
STROP_API std::chrono::milliseconds ParseDuration(const std::string& text);

}  // namespace strop
