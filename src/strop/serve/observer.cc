#include "strop/serve/observer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/log.h"
#include "strop/base/metrics.h"
#include "strop/base/threads.h"
#include "strop/serve/request_id.h"
#include "strop/store/database.h"
#include "strop/watch/capture_row.h"
#include "strop/watch/label_queue.h"
#include "strop/watch/select.h"

namespace strop::serve {
namespace {

constexpr uint64_t kCaptureSalt = 1;
constexpr uint64_t kUniformSalt = 2;
// Longer batches make cheaper transactions; a label may wait so long for its capture.
constexpr auto kPause = std::chrono::milliseconds(50);
// A window of uncertain requests that does not fill is judged as it is, so that quiet servers get labels too.
constexpr auto kWindowPatience = std::chrono::seconds(10);

double Now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

size_t Bytes(const Observation& observation) {
  size_t bytes = observation.activation ? observation.activation.bytes() : 0;
  for (const auto& [name, tensor] : observation.inputs) bytes += tensor.bytes();
  for (const auto& [name, tensor] : observation.outputs) bytes += tensor.bytes();
  return bytes;
}

// Of every row, by the first output that holds scores; zeros where a model has none.
std::vector<double> Uncertainties(const Observation& observation) {
  for (const auto& output : observation.model->signature.outputs) {
    const auto found = observation.outputs.find(output.name);
    if (found == observation.outputs.end() || found->second.dtype() != DType::kF32) continue;
    try {
      std::vector<double> out = watch::Uncertainty(found->second);
      if (std::ssize(out) == observation.rows) return out;
    } catch (const Error&) {
      // No scores in this output: another shape, or NaN.
    }
  }
  return std::vector<double>(static_cast<size_t>(observation.rows), 0.0);
}

TensorMap RowOf(const TensorMap& tensors, int64_t row, bool batched) {
  TensorMap out;
  for (const auto& [name, tensor] : tensors) {
    if (batched) {
      out.emplace(name, tensor.Rows(row, row + 1));
    } else {
      Shape shape = tensor.shape();
      shape.insert(shape.begin(), 1);
      out.emplace(name, tensor.Reshaped(std::move(shape)));
    }
  }
  return out;
}

}  // namespace

struct Observer::Work {
  struct Uncertain {
    std::string request_id;
    double uncertainty = 0;
    bool uniform = false;  // its label is wanted already
  };
  explicit Work(const std::string& store) : database(store::Database::Open(store)), labels(&database) {}

  store::Database database;
  watch::LabelQueue labels;
  std::vector<Uncertain> window;
  std::chrono::steady_clock::time_point window_began;
};

void ObserverOptions::Validate() const {
  if (!(capture >= 0 && capture <= 1)) {
    throw Error(Code::kInvalidArgument, fmt::format("capture = {}: expected a share from 0 to 1", capture));
  }
  if (window < 1)
    throw Error(Code::kInvalidArgument, fmt::format("window = {}: expected at least 1 row", window));
}

Observer::Observer(const ObserverOptions& options) : options_(options) {
  options_.Validate();
  work_ = std::make_unique<Work>(options_.store);
  thread_ = std::thread([this] { Loop(); });
}

Observer::~Observer() { Stop(); }

bool Observer::Wants(const std::string& request_id) const noexcept {
  return UnitHash(request_id, kCaptureSalt) < options_.capture;
}

void Observer::Drop(int64_t rows) noexcept {
  static Counter& dropped =
      Metrics::Global().GetCounter("strop_serve_captures_dropped_total",
                                   "Captured rows lost: the observer fell behind, or the store failed.");
  dropped.Add(static_cast<uint64_t>(rows));
  dropped_ += static_cast<uint64_t>(rows);
}

void Observer::Offer(Observation observation) noexcept {
  const auto rows = static_cast<size_t>(observation.rows);
  const size_t bytes = Bytes(observation);
  {
    std::lock_guard lock(mutex_);
    const bool room =
        queued_rows_ + rows <= options_.queue_rows && queued_bytes_ + bytes <= options_.queue_bytes;
    if (!stopping_ && room) {
      queue_.push_back(std::move(observation));
      queued_rows_ += rows;
      queued_bytes_ += bytes;
      ++offered_;
      return;  // nobody is woken: the observer looks every kPause
    }
  }
  Drop(static_cast<int64_t>(rows));
}

void Observer::Flush() {
  std::unique_lock lock(mutex_);
  const uint64_t until = offered_;
  ++flushing_;
  wake_.notify_all();
  done_.wait(lock, [&] { return finished_ >= until; });
  --flushing_;
}

void Observer::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Observer::Loop() {
  NameThread("strop-observer");
  // Of this thread only, on Linux: where processors are short, requests go first.
  ::setpriority(PRIO_PROCESS, 0, 5);
  std::vector<Observation> batch;
  for (bool last = false; !last;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, kPause, [&] { return stopping_ || (flushing_ > 0 && !queue_.empty()); });
      batch.swap(queue_);
      queued_rows_ = queued_bytes_ = 0;
      last = stopping_;
    }
    const size_t count = batch.size();
    Process(batch, last);
    batch.clear();
    std::lock_guard lock(mutex_);
    finished_ += count;
    done_.notify_all();
  }
}

void Observer::Process(const std::vector<Observation>& batch, bool last) {
  Work& work = *work_;
  std::vector<watch::Capture> captures;
  std::vector<std::string> alarms;
  const double now = Now();
  for (const Observation& observation : batch) {
    try {
      Keep(observation, now, &captures);
      Watch(observation, &alarms);
      Publish(*observation.model);
    } catch (const std::exception& failure) {
      Log("serve").warn("request {} was not observed: {}", observation.request_id, failure.what());
      Drop(observation.rows);
    }
  }
  bool kept_all = false;
  try {
    if (!captures.empty()) {
      work.labels.PutCaptures(captures, options_.capture_rows);
      captures_ += captures.size();
      static Counter& kept =
          Metrics::Global().GetCounter("strop_serve_captures_total", "Rows kept for labels.");
      kept.Add(captures.size());
    }
    kept_all = true;
    AskForLabels(captures, last);
    for (const std::string& alarm : alarms) work.database.Log("watch", "alarm", alarm);
  } catch (const std::exception& failure) {
    Log("serve").error("the store failed the observer: {}", failure.what());
    if (!kept_all) Drop(std::ssize(captures));
  }
}

void Observer::Keep(const Observation& observation, double now, std::vector<watch::Capture>* captures) const {
  const ServedModel& model = *observation.model;
  const std::vector<double> uncertainties = Uncertainties(observation);
  for (int64_t row = 0; row < observation.rows; ++row) {
    watch::Capture capture;
    capture.request_id =
        observation.rows == 1 ? observation.request_id : fmt::format("{}/{}", observation.request_id, row);
    capture.model = model.signature.name;
    capture.version = model.signature.version;
    capture.time = now;
    capture.inputs = watch::EncodeRow(RowOf(observation.inputs, row, model.batched));
    capture.outputs = watch::EncodeRow(RowOf(observation.outputs, row, model.batched));
    capture.uncertainty = uncertainties[static_cast<size_t>(row)];
    if (UnitHash(capture.request_id, kUniformSalt) < options_.uniform_share)
      capture.wanted = watch::Reason::kUniform;
    captures->push_back(std::move(capture));
  }
}

void Observer::AskForLabels(const std::vector<watch::Capture>& captures, bool last) {
  Work& work = *work_;
  std::vector<watch::Wish> wishes;
  const auto choose = [&] {
    const auto count = std::llround(options_.uncertain_share * static_cast<double>(work.window.size()));
    const auto end = work.window.begin() + std::min<int64_t>(count, std::ssize(work.window));
    std::partial_sort(work.window.begin(), end, work.window.end(),
                      [](const auto& a, const auto& b) { return a.uncertainty > b.uncertainty; });
    for (auto it = work.window.begin(); it != end; ++it) {
      if (!it->uniform) wishes.push_back({it->request_id, watch::Reason::kUncertain});
    }
    work.window.clear();
  };
  const auto now = std::chrono::steady_clock::now();
  for (const watch::Capture& capture : captures) {
    if (work.window.empty()) work.window_began = now;
    work.window.push_back({capture.request_id, capture.uncertainty, capture.wanted.has_value()});
    if (std::ssize(work.window) >= options_.window) choose();
  }
  if (!work.window.empty() && (last || now - work.window_began > kWindowPatience)) choose();
  if (!wishes.empty()) work.labels.Request(wishes);
}

void Observer::Watch(const Observation& observation, std::vector<std::string>* alarms) {
  const ServedModel& model = *observation.model;
  if (!model.watch) return;
  for (ModelWatch::Watched& watched : model.watch->detectors) {
    const Tensor* rows = &observation.activation;
    if (watched.kind == "input") rows = &observation.inputs.at(watched.value);
    if (!*rows) continue;
    const bool drifted = watched.last.drift;
    watched.last = watched.detector->Update(*rows);
    watched.rows += observation.rows;
    if (!watched.last.drift || drifted) continue;
    ++alarms_;
    alarms->push_back(nlohmann::json{{"detector", watched.detector->name()},
                                     {"score", watched.last.score},
                                     {"threshold", watched.last.threshold},
                                     {"model", model.signature.name},
                                     {"version", model.signature.version},
                                     {"rows", watched.rows},
                                     {"evidence", watched.last.evidence}}
                          .dump());
    Log("serve").warn("drift: {} of model {} version {} scores {:.4g}, above {:.4g}, after {} rows",
                      watched.detector->name(), model.signature.name, model.signature.version,
                      watched.last.score, watched.last.threshold, watched.rows);
  }
}

void Observer::Publish(const ServedModel& model) {
  if (!model.watch) return;
  std::vector<DetectorState> states;
  for (const ModelWatch::Watched& watched : model.watch->detectors) {
    states.push_back({watched.detector->name(), watched.last.score, watched.last.threshold,
                      watched.last.drift, watched.rows});
  }
  {
    std::lock_guard lock(state_mutex_);
    auto& [version, published] = states_[model.signature.name];
    if (version > model.signature.version) return;  // an answer of the version before a swap
    version = model.signature.version;
    published = states;
  }
  Metrics& metrics = Metrics::Global();
  for (const DetectorState& state : states) {
    const Labels labels = {{"model", model.signature.name}, {"detector", state.name}};
    metrics.GetGauge("strop_watch_score", "Score of the last full window.", labels).Set(state.score);
    metrics.GetGauge("strop_watch_threshold", "Score above which a window is drift.", labels)
        .Set(state.threshold);
    metrics.GetGauge("strop_watch_drift", "1 while the last full window is drift.", labels)
        .Set(state.drift ? 1 : 0);
  }
}

std::vector<DetectorState> Observer::Detectors(const std::string& model, int64_t version) const {
  std::lock_guard lock(state_mutex_);
  const auto found = states_.find(model);
  if (found == states_.end() || found->second.first != version) return {};
  return found->second.second;
}

}  // namespace strop::serve
