#include "strop/base/project_keys.h"

namespace strop::project {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

template <class S>
class Section {
 public:
  Section(std::vector<Key>& keys, std::string name, S Project::*section)
      : keys_(keys), name_(std::move(name)), section_(section) {}

  template <class T>
  Section& Add(const char* name, T S::*member, Kind<T> kind, const char* doc) {
    const auto section = section_;
    const auto read = [=](Project& project, const Spot& spot) { project.*section.*member = kind.read(spot); };
    const auto show = [=](const Project& project) { return kind.show(project.*section.*member); };
    keys_.push_back({name_, name, kind.accepted, doc, read, show});
    return *this;
  }

 private:
  std::vector<Key>& keys_;
  std::string name_;
  S Project::*section_;
};

std::vector<Key> MakeKeys() {
  std::vector<Key> keys;
  Section(keys, "data", &Project::data)
      .Add("train", &DataSection::train, Location(), "labelled rows, Parquet")
      .Add("label", &DataSection::label, Name(), "column with the label")
      .Add("inputs", &DataSection::inputs, Words(),
           "columns fed to the model; none: those with the role `input`, else all others")
      .Add("id", &DataSection::id, Text(), "column that names a row; empty: none")
      .Add("time", &DataSection::time, Text(), "column with the time of the event; empty: none")
      .Add("splits", &DataSection::splits, Shares({"train", "validation", "calibration", "evaluation"}),
           "shares of the rows of `train`; rows are dealt by seed and row number")
      .Add("seed", &DataSection::seed, Seed(), "of the splits");
  Section(keys, "train", &Project::train)
      .Add("command", &TrainSection::command, Words(),
           "the trainer, any command; {NAME} of a parameter, {data}, {validation}, {budget}, {seed} and "
           "{out_dir} are "
           "replaced")
      .Add("budget", &TrainSection::budget, Real(0, 1e12, false),
           "of the final training, in the trainer's unit (epochs, steps)")
      .Add("timeout", &TrainSection::timeout, Duration(seconds(1), hours(24 * 30)), "of one training")
      .Add("retrain_budget", &TrainSection::retrain_budget, Real(0, 1e6, false),
           "epochs of `strop train` after drift")
      .Add("retrain_learning_rate", &TrainSection::retrain_learning_rate, Real(0, 10, false),
           "of `strop train` after drift");
  Section(keys, "tune", &Project::tune)
      .Add("study", &TuneSection::study, Name(), "name of the study in the store; the same name resumes it")
      .Add("storage", &TuneSection::storage, Text(),
           "store that holds it: a path, relative to this file, sqlite:///PATH or postgresql://user@host/db; "
           "empty: "
           "strop.db of the loop's directory")
      .Add("trials", &TuneSection::trials, Whole(1, 1'000'000), "trials of the study")
      .Add("jobs", &TuneSection::jobs, Whole(1, 1024), "trainers at a time")
      .Add("cpus", &TuneSection::cpus, Whole(0, 4096), "of one trainer, its own; 0: all share them")
      .Add("gpus", &TuneSection::gpus, Whole(0, 1024),
           "of one trainer, its own, by CUDA_VISIBLE_DEVICES; 0: all share them")
      .Add("retries", &TuneSection::retries, Whole(0, 100), "of a trial whose trainer failed")
      .Add("budget", &TuneSection::budget, Real(0, 1e12, false), "of one trial, in the trainer's unit")
      .Add("metric", &TuneSection::metric, Name(), "the reported metric that counts")
      .Add("direction", &TuneSection::direction, OneOf({"minimize", "maximize"}),
           "which way the metric is better")
      .Add("sampler", &TuneSection::sampler, OneOf({"auto", "gp", "tpe", "cmaes", "random", "sobol", "grid"}),
           "`gp`: a Gaussian process with Expected Improvement; `auto` chooses")
      .Add("seed", &TuneSection::seed, Seed(), "of the sampler and the trials")
      .Add("trial_timeout", &TuneSection::trial_timeout, Duration(seconds(1), hours(24 * 30)),
           "a trainer silent for so long is stopped")
      .Add("constraints", &TuneSection::constraints, Words(),
           "what parameters must keep to, as \"batch * accumulate <= 512\"")
      .Add("space", &TuneSection::space, Space(), "the parameters, see below");
  Section(keys, "compress", &Project::compress)
      .Add("metric", &CompressSection::metric, QualityName(), "of quality")
      .Add("max_drop", &CompressSection::max_drop, Real(0, 1e9),
           "in the metric's unit, absolute; met when the bad end of the 95% paired interval meets it")
      .Add("bits", &CompressSection::bits, Whole(8, 8), "of weights and activations");
  Section(keys, "serve", &Project::serve)
      .Add("name", &ServeSection::name, Name(), "the model's name for clients")
      .Add("http", &ServeSection::http, Address(), "where to listen; port 0: any free one")
      .Add("threads", &ServeSection::threads, Whole(0, 4096), "of inference; 0: every usable CPU")
      .Add("capture", &ServeSection::capture, Real(0, 1),
           "share of requests whose inputs and outputs are kept")
      .Add("capture_rows", &ServeSection::capture_rows, Whole(1, 1'000'000'000),
           "requests kept at most; the oldest unlabelled go first");
  Section(keys, "watch", &Project::watch)
      .Add("detectors", &WatchSection::detectors, SomeOf({"input", "activation"}),
           "what MMD is computed on: the model's input, its penultimate activation")
      .Add("window", &WatchSection::window, Whole(8, 1'000'000), "rows that a decision is taken on")
      .Add("reference_rows", &WatchSection::reference_rows, Whole(16, 10'000'000),
           "rows of the validation split")
      .Add("false_alarm_rows", &WatchSection::false_alarm_rows, Whole(1, 1'000'000'000'000),
           "mean rows between false alarms, for which thresholds are calibrated")
      .Add("features", &WatchSection::features, Whole(16, 65'536), "random Fourier features")
      .Add("uniform_share", &WatchSection::uniform_share, Real(0, 1),
           "of captured requests, offered for labelling whatever the model says")
      .Add("uncertain_share", &WatchSection::uncertain_share, Real(0, 1),
           "of captured requests, offered because they are the most uncertain");
  Section(keys, "loop", &Project::loop)
      .Add("directory", &LoopSection::directory, FolderPath(), "models, runs, logs and the store `strop.db`")
      .Add("retrain_labels", &LoopSection::retrain_labels, Whole(1, 1'000'000'000),
           "labels gathered after the alarm before retraining")
      .Add("validation_labels", &LoopSection::validation_labels, Whole(1, 1'000'000'000),
           "of them, from the uniform share, kept for validation")
      .Add("guardrail", &LoopSection::guardrail, Real(0, 1e9),
           "by so much a candidate may be worse than the champion at the bad end of the interval")
      .Add("companion", &LoopSection::companion, Words(), "a command run beside the loop once it serves");
  return keys;
}

}  // namespace

const std::vector<Key>& Keys() {
  static const std::vector<Key> keys = MakeKeys();
  return keys;
}

}  // namespace strop::project
