#include "strop/loop/loop.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/line_socket.h"
#include "strop/base/process.h"
#include "strop/base/progress.h"
#include "strop/base/rng.h"
#include "strop/data/split.h"
#include "strop/data/table.h"
#include "strop/loop/follower.h"
#include "strop/loop/gate.h"
#include "strop/loop/rows.h"
#include "strop/loop/server.h"
#include "strop/loop/state.h"
#include "strop/loop/verb_runner.h"

namespace strop::loop {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Known rows for each labelled one when retraining, so that the model does not forget what it knew.
constexpr double kReplayRatio = 2.0;

Project WithAbsoluteFolder(Project project) {
  project.loop.directory = fs::absolute(project.folder() / project.loop.directory);
  return project;
}

class Loop {
 public:
  Loop(const Project& project, const LoopOptions& options)
      : project_(WithAbsoluteFolder(project)),
        options_(options),
        folder_(project_.loop.directory),
        only_one_(folder_ / "loop.sock"),
        store_("sqlite:///" + (folder_ / "strop.db").string()),
        splits_(data::WriteSplits(project_.data.train, project_.data.splits, project_.data.seed,
                                  folder_ / "data")),
        server_(project_, splits_.at("validation"),
                [this](const std::string& event, const std::string& detail) { store_.Log(event, detail); }),
        verbs_(
            project_.folder(), folder_ / "logs", [this] { Tick(); },
            [this](const std::string& line) { Hear(line); }),
        state_(store_.Load()) {
    fs::create_directories(folder_ / "models");
  }

  LoopResult Run() {
    while (!Done()) {
      switch (state_.step) {
        case Step::kTune:
          Tune();
          break;
        case Step::kTrain:
          Train();
          break;
        case Step::kCompress:
          Compress();
          break;
        case Step::kWatch:
          Watch();
          break;
        case Step::kLabel:
          Label();
          break;
        case Step::kRetrain:
          Retrain();
          break;
        case Step::kRecompress:
          Recompress();
          break;
        case Step::kValidate:
          Validate();
          break;
        case Step::kSwap:
          Swap();
          break;
      }
    }
    const int companion = WaitForCompanion();
    server_.Stop();
    return {state_.round, state_.champion_served, companion};
  }

 private:
  bool Done() const { return options_.once && swapped_; }

  // A line of a verb or of the companion: how far it is, or something for people.
  void Hear(const std::string& line) {
    if (const auto progress = Progress::FromLine(line)) {
      options_.progress(*progress);
    } else {
      options_.say("  " + line);
    }
  }

  void Tick() {
    options_.tick();
    server_.KeepAlive();
    if (companion_lines_) companion_lines_->ReadLines([this](const std::string& line) { Hear(line); });
  }

  void Pause() {
    Tick();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }

  void Advance(Step next, const std::string& event, const std::string& detail) {
    state_.step = next;
    store_.Save(state_, event, detail);
  }

  fs::path Model(const std::string& kind) const {
    return folder_ / "models" / fmt::format("r{}-{}.onnx", state_.round, kind);
  }
  fs::path RoundFile(const std::string& name) const {
    return folder_ / "rounds" / std::to_string(state_.round) / name;
  }

  void Tune() {
    options_.say(fmt::format("tune: {} trials", project_.tune.trials));
    Advance(Step::kTrain, "tuned", verbs_.Run("tune", {project_.file.string()}));
  }

  void Train() {
    options_.say("train: the best trial once more, at full budget");
    const std::string result =
        verbs_.Run("tune", {project_.file.string(), "--final", "-o", Model("f32").string()});
    state_.champion_f32 = Model("f32").string();
    Advance(Step::kCompress, "trained", result);
  }

  std::string RunCompress(const fs::path& calibration) {
    return verbs_.Run(
        "compress", {Model("f32").string(), "-o", Model("int8").string(), "--data", calibration.string(),
                     "--eval", splits_.at("evaluation").string(), "--label", project_.data.label, "--metric",
                     project_.compress.metric, "--max-drop", fmt::format("{}", project_.compress.max_drop),
                     "--bits", std::to_string(project_.compress.bits)});
  }

  void Compress() {
    options_.say("compress: f32 to INT8");
    const std::string result = RunCompress(splits_.at("calibration"));
    state_.champion_served = Model("int8").string();
    Advance(Step::kWatch, "compressed", result);
  }

  // Whatever comes after the first model needs the server.
  void Serve() {
    if (!server_.http().empty()) return;
    server_.Start(state_.champion_served);
    options_.say(fmt::format("serve: {} on http://{}", project_.serve.name, server_.http()));
    if (project_.loop.companion.empty()) return;
    ProcessOptions companion;
    companion.command = project_.loop.companion;
    companion.directory = project_.folder();
    companion.env = {{"STROP_HTTP", server_.http()},
                     {"STROP_PROJECT", project_.file.string()},
                     {"STROP_LOOP_DIR", folder_.string()},
                     {kProgressVariable, "json"}};
    companion.output = folder_ / "logs" / "companion.log";
    companion_lines_.emplace(companion.output);
    companion_.emplace(companion);
  }

  void Watch() {
    Serve();
    options_.say("watch: waiting for an alarm");
    std::optional<Alarm> alarm;
    while (!(alarm = store_.AlarmAfter(state_.seen_event))) {
      if (CompanionLeft())
        throw Error(Code::kFailedPrecondition, "the companion ended before any alarm was raised");
      ConsiderOffer();
      Pause();
    }
    options_.say(fmt::format("watch: alarm {}", alarm->detail_json));
    state_.seen_event = alarm->event;
    state_.alarm_time = alarm->time;
    ++state_.round;
    Advance(Step::kLabel, "alarm_taken", alarm->detail_json);
  }

  int64_t UniformLabels() { return store_.LabelsSince(state_.alarm_time, "uniform"); }

  void Label() {
    Serve();
    const int64_t wanted = state_.labels_used + project_.loop.retrain_labels;
    options_.say(fmt::format("label: waiting for {} labels, {} of them uniform", wanted,
                             project_.loop.validation_labels));
    int64_t labels = 0;
    while ((labels = store_.LabelsSince(state_.alarm_time, "any")) < wanted ||
           UniformLabels() < project_.loop.validation_labels) {
      if (CompanionLeft())
        throw Error(Code::kFailedPrecondition, "the companion ended before there were enough labels");
      options_.progress({"label", labels - state_.labels_used, project_.loop.retrain_labels, ""});
      ConsiderOffer();
      Pause();
    }
    ConsiderOffer();
    const LabelledRows rows = ExportLabels();
    Advance(Step::kRetrain, "labelled",
            json{{"labels", labels}, {"train", rows.train}, {"validation", rows.validation}}.dump());
  }

  LabelledRows ExportLabels() {
    const fs::path labelled = RoundFile("labelled.parquet");
    fs::create_directories(labelled.parent_path());
    verbs_.Run("label", {"export", labelled.string(), "--project", project_.file.string(), "--reason", "any",
                         "--since", fmt::format("{:.6f}", state_.alarm_time)});
    return PartLabelled(labelled, project_.loop.validation_labels, RoundFile("labelled-train.parquet"),
                        RoundFile("validation.parquet"));
  }

  std::vector<std::string> Columns() const {
    std::vector<std::string> columns = project_.data.inputs;
    if (columns.empty()) {
      for (const auto& column : data::DescribeSchema(*data::ReadSchema(splits_.at("train").string()))) {
        if (column.role == data::Role::kInput) columns.push_back(column.name);
      }
    }
    columns.push_back(project_.data.label);
    return columns;
  }

  void Retrain() {
    Serve();
    const int64_t rows = MixRows(RoundFile("labelled-train.parquet"), splits_.at("train"), kReplayRatio,
                                 Columns(), MixSeed(project_.data.seed, static_cast<uint64_t>(state_.round)),
                                 RoundFile("retrain.parquet"));
    options_.say(fmt::format("retrain: {} rows, from {}", rows, state_.champion_f32));
    const std::string result =
        verbs_.Run("train", {state_.champion_f32, "--data", RoundFile("retrain.parquet").string(), "--label",
                             project_.data.label, "-o", Model("f32").string(), "--epochs",
                             fmt::format("{}", project_.train.retrain_budget), "--learning-rate",
                             fmt::format("{}", project_.train.retrain_learning_rate), "--seed",
                             std::to_string(project_.tune.seed)});
    Advance(Step::kRecompress, "retrained", result);
  }

  void Recompress() {
    Serve();
    options_.say("compress: the retrained model to INT8");
    const fs::path calibration = RoundFile("calibration.parquet");
    MixRows(RoundFile("labelled-train.parquet"), splits_.at("calibration"), kReplayRatio, Columns(),
            project_.data.seed, calibration);
    Advance(Step::kValidate, "recompressed", RunCompress(calibration));
  }

  Decision CompareWithChampion(const fs::path& candidate) {
    const auto infer = [&](const fs::path& model, const fs::path& out) {
      verbs_.Run("infer", {model.string(), "--data", RoundFile("validation.parquet").string(), "-o",
                           out.string(), "--keep", project_.data.label});
    };
    infer(state_.champion_served, RoundFile("champion.predictions.parquet"));
    infer(candidate, RoundFile("candidate.predictions.parquet"));
    return Compare(RoundFile("champion.predictions.parquet"), RoundFile("candidate.predictions.parquet"),
                   project_.data.label, project_.compress.metric, project_.loop.guardrail);
  }

  void Validate() {
    Serve();
    const Decision decision = CompareWithChampion(Model("int8"));
    options_.say("validate: " + json::parse(decision.evidence_json).value("reason", ""));
    if (decision.promote) {
      Advance(Step::kSwap, "validated", decision.evidence_json);
    } else {
      // The drift is still there: the same again, with more labels.
      state_.labels_used = store_.LabelsSince(state_.alarm_time, "any");
      ++state_.round;
      Advance(Step::kLabel, "rejected", decision.evidence_json);
    }
  }

  void Swap() {
    Serve();
    const fs::path served = Model("int8");
    server_.Swap(served, RoundFile("labelled.parquet"));  // from now on the drifted rows are what is expected
    const std::string before = state_.champion_served;
    state_.champion_served = served.string();
    state_.champion_f32 = Model("f32").string();
    state_.seen_event = store_.LastAlarm();
    state_.labels_used = 0;
    Advance(Step::kWatch, "swapped", json{{"from", before}, {"to", state_.champion_served}}.dump());
    options_.say("swap: " + state_.champion_served + " is live");
    swapped_ = true;
  }

  // A model that somebody offered is judged as our own are, once there are uniform labels to judge it by.
  void ConsiderOffer() {
    const auto offer = store_.Offered();
    if (!offer || UniformLabels() < project_.loop.validation_labels) return;
    std::string evidence;
    bool promote = false;
    try {
      ExportLabels();
      const Decision decision = CompareWithChampion(offer->path);
      evidence = decision.evidence_json;
      promote = decision.promote;
      if (promote) server_.Swap(offer->path, RoundFile("labelled.parquet"));
    } catch (const Error& error) {
      if (error.code() == Code::kCancelled) throw;
      promote = false;
      evidence = json{{"decision", "rejected"}, {"reason", error.what()}}.dump();
    }
    store_.Decide(offer->id, promote, evidence);
    options_.say(fmt::format("candidate {}: {}", offer->path, json::parse(evidence).value("reason", "")));
    if (!promote) return;
    state_.champion_served = offer->path;
    store_.Save(state_, "swapped", evidence);
  }

  bool CompanionLeft() { return companion_ && companion_->Poll().has_value(); }

  int WaitForCompanion() {
    if (!companion_) return 0;
    std::optional<int> status;
    while (!(status = companion_->Poll())) Pause();
    Tick();  // its last lines
    return *status;
  }

  const Project project_;
  const LoopOptions& options_;
  const fs::path folder_;
  LineListener only_one_;
  StateStore store_;
  std::map<std::string, fs::path> splits_;
  ServerProcess server_;
  VerbRunner verbs_;
  LoopState state_;
  std::optional<Process> companion_;
  std::optional<Follower> companion_lines_;
  bool swapped_ = false;
};

}  // namespace

LoopResult RunLoop(const Project& project, const LoopOptions& options) {
  return Loop(project, options).Run();
}

}  // namespace strop::loop
