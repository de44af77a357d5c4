#include "strop/compress/compress.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/compress/calibrate.h"
#include "strop/compress/predict.h"
#include "strop/engine/session.h"
#include "strop/model/passes.h"

namespace strop::compress {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kSensitivityRows = 512;

std::unique_ptr<engine::Session> MakeSession(const model::Graph& graph, int threads) {
  engine::SessionOptions options;
  options.threads = threads;
  return engine::Session::Make(graph, options);
}

TensorMap FirstRows(const TensorMap& rows, int64_t count) {
  TensorMap first;
  for (const auto& [name, tensor] : rows) first[name] = tensor.Rows(0, std::min(count, tensor.shape()[0]));
  return first;
}

// Mean squared change over the variance of what it was, both in double.
double NoiseOverSignal(const Tensor& before, const Tensor& after) {
  const Tensor x = before.Cast(DType::kF64), y = after.Cast(DType::kF64);
  const auto real = x.As<double>(), changed = y.As<double>();
  const double mean = std::accumulate(real.begin(), real.end(), 0.0) / static_cast<double>(real.size());
  double signal = 0, noise = 0;
  for (size_t i = 0; i < real.size(); ++i) {
    signal += (real[i] - mean) * (real[i] - mean);
    noise += (changed[i] - real[i]) * (changed[i] - real[i]);
  }
  return signal > 0 ? noise / signal : noise;
}

// Rows on which the interval's bad end would reach max_drop if the gain stayed what it is; 0 when no number
// would do.
int64_t RowsThatWouldDo(const data::PairedResult& result, double max_drop) {
  const double slack = result.gain + max_drop, width = result.gain - result.interval.low;
  if (slack <= 0 || width <= 0) return 0;
  const double needed = std::ceil(static_cast<double>(result.rows) * (width / slack) * (width / slack));
  return needed < 1e12 ? static_cast<int64_t>(needed) : 0;
}

std::string Summary(const Attempt& attempt, const std::string& metric, size_t layers) {
  return fmt::format(
      "{} of {} layers in INT8 gave {} {:.4f} against {:.4f}, 95% interval of the change {:+.4f} to {:+.4f}",
      layers - attempt.float_layers.size(), layers, metric, attempt.quality.candidate,
      attempt.quality.baseline, attempt.quality.interval.low, attempt.quality.interval.high);
}

class Search {
 public:
  Search(const model::Graph& graph, const TensorMap& calibration, const TensorMap& evaluation,
         const Tensor& labels, const CompressOptions& options, const CompressProgress& progress)
      : calibration_(calibration),
        evaluation_(evaluation),
        labels_(labels),
        options_(options),
        progress_(progress),
        deadline_(Clock::now() + options.budget),
        metric_(data::QualityMetric::Make(options.metric)),
        original_(graph) {
    if (graph.outputs.empty()) throw Error(Code::kInvalidArgument, "the model has no output");
    output_ = graph.outputs.front().name;
  }

  CompressResult Run() {
    RequireRows();
    model::Graph simplified = original_;
    if (const std::string tap = model::Penultimate(original_); !tap.empty()) {
      simplified.metadata["strop.penultimate"] = tap;
    }
    model::Simplify(simplified);
    RaiseOpset(simplified);
    Quantizer quantizer(simplified, options_.quantize);
    if (quantizer.layers().empty()) {
      throw Error(
          Code::kUnsupported,
          "there is nothing to quantise: the model has no Conv, Gemm or MatMul with constant float weights");
    }
    quantizer.SetRanges(Calibrate(simplified, quantizer.ActivationsToCalibrate(), calibration_,
                                  options_.threads,
                                  [&](int64_t done, int64_t total) { Report("calibrating", done, total); }));

    CompressResult result;
    result.metric = metric_->name();
    result.calibration_rows = RowRunner(original_.inputs, calibration_).rows();
    MeasureSensitivity(quantizer, simplified, &result);

    baseline_ = Predict(*MakeSession(original_, options_.threads), evaluation_, output_);
    std::set<std::string> names;
    std::vector<const LayerResult*> by_sensitivity;
    for (const LayerResult& layer : result.layers) {
      names.insert(layer.layer);
      by_sensitivity.push_back(&layer);
    }
    std::ranges::stable_sort(by_sensitivity, std::greater<>(),
                             [](const LayerResult* l) { return l->sensitivity; });
    Attempt attempt;
    for (size_t given_up = 0; given_up < by_sensitivity.size(); ++given_up) {
      CheckBudget(result);
      Report("evaluating", static_cast<int64_t>(given_up), static_cast<int64_t>(by_sensitivity.size()));
      model::Graph candidate = quantizer.Build(names);
      attempt.quality = metric_->Compare(
          baseline_, Predict(*MakeSession(candidate, options_.threads), evaluation_, output_), labels_,
          options_.seed);
      result.attempts.push_back(attempt);
      if (attempt.quality.interval.low >= -options_.max_drop) {
        for (LayerResult& layer : result.layers) layer.bits = names.contains(layer.layer) ? 8 : 32;
        result.quality = attempt.quality;
        result.model = std::move(candidate);
        return result;
      }
      const std::string& worst = by_sensitivity[given_up]->layer;
      names.erase(worst);
      attempt.float_layers.push_back(worst);
    }
    Unreachable(result);
  }

 private:
  void Report(const std::string& what, int64_t done, int64_t total) const {
    if (progress_) progress_(what, done, total);
  }

  // With fewer rows not even a model that never differs could be shown to be good enough.
  void RequireRows() const {
    const int64_t rows = labels_.shape().empty() ? 0 : labels_.shape()[0];
    const int64_t needed =
        metric_->name() == "accuracy" && options_.max_drop < 1 ? data::RowsNeeded(options_.max_drop, 0) : 2;
    if (rows >= needed) return;
    throw Error(
        Code::kInvalidArgument,
        fmt::format(
            "the evaluation has {} rows: at least {} are needed to show at 95% that {} drops by no more "
            "than {:g}; give more with --eval or allow a larger --max-drop",
            rows, needed, metric_->name(), options_.max_drop));
  }

  void CheckBudget(const CompressResult& result) const {
    if (Clock::now() < deadline_) return;
    const std::string reached = result.attempts.empty()
                                    ? std::string("no model was evaluated yet")
                                    : Summary(result.attempts.back(), metric_->name(), result.layers.size());
    throw Error(Code::kTimeout,
                fmt::format("the budget of {:g}s ended before max drop {:g} was met: {}",
                            static_cast<double>(options_.budget.count()) / 1000, options_.max_drop, reached));
  }

  // Each layer alone, on calibration rows: first the means that quantising it shifts, which its bias gives
  // back, then the noise that is left at the output.
  void MeasureSensitivity(Quantizer& quantizer, const model::Graph& simplified, CompressResult* result) {
    const TensorMap rows = FirstRows(calibration_, kSensitivityRows);
    const Tensor before = Predict(*MakeSession(original_, options_.threads), rows, output_);
    const auto total = static_cast<int64_t>(quantizer.layers().size());
    for (const Layer& layer : quantizer.layers()) {
      CheckBudget(*result);
      if (layer.op != "MatMul") {
        const std::string value =
            std::ranges::find(simplified.nodes, layer.name, &model::Node::name)->outputs[0];
        const Tensor want = LayerMeans(simplified, value, rows);
        const Tensor got = LayerMeans(quantizer.Build({layer.name}), value, rows);
        for (size_t i = 0; i < want.As<float>().size(); ++i) want.As<float>()[i] -= got.As<float>()[i];
        quantizer.SetBiasCorrection(layer.name, want);
      }
      const auto session = MakeSession(quantizer.Build({layer.name}), options_.threads);
      result->layers.push_back(
          {layer.name, layer.op, 32, NoiseOverSignal(before, Predict(*session, rows, output_))});
      Report("measuring sensitivity", static_cast<int64_t>(result->layers.size()), total);
    }
  }

  Tensor LayerMeans(const model::Graph& graph, const std::string& value, const TensorMap& rows) const {
    engine::SessionOptions options;
    options.threads = options_.threads;
    const bool is_output =
        std::ranges::find(graph.outputs, value, &model::ValueInfo::name) != graph.outputs.end();
    if (!is_output) options.taps = {value};
    return ChannelMeans(*engine::Session::Make(graph, options), rows, value, 1);
  }

  [[noreturn]] void Unreachable(const CompressResult& result) const {
    const auto better = [](const Attempt& a, const Attempt& b) {
      return a.quality.interval.low < b.quality.interval.low;
    };
    const Attempt& best = *std::ranges::max_element(result.attempts, better);
    const int64_t rows = RowsThatWouldDo(best.quality, options_.max_drop);
    const std::string reached = Summary(best, metric_->name(), result.layers.size());
    if (rows > best.quality.rows) {
      throw Error(
          Code::kInvalidArgument,
          fmt::format(
              "the evaluation has {} rows: about {} are needed to show at 95% that {} drops by no more "
              "than {:g} ({})",
              best.quality.rows, rows, metric_->name(), options_.max_drop, reached));
    }
    throw Error(Code::kFailedPrecondition,
                fmt::format("max drop {:g} cannot be met, nothing was written: the best of {} attempts, {}",
                            options_.max_drop, result.attempts.size(), reached));
  }

  const TensorMap& calibration_;
  const TensorMap& evaluation_;
  const Tensor& labels_;
  const CompressOptions& options_;
  const CompressProgress& progress_;
  const Clock::time_point deadline_;
  const std::unique_ptr<data::QualityMetric> metric_;
  const model::Graph& original_;
  std::string output_;
  Tensor baseline_;
};

}  // namespace

void CompressOptions::Validate() const {
  if (!(max_drop > 0) || !std::isfinite(max_drop)) {
    throw Error(Code::kInvalidArgument, fmt::format("max drop = {}: expected more than 0", max_drop));
  }
  if (budget.count() <= 0) throw Error(Code::kInvalidArgument, "budget: expected more than 0, as in 10m");
  if (threads < 0)
    throw Error(Code::kInvalidArgument, fmt::format("threads = {}: expected 0 (all) or more", threads));
  quantize.Validate();
}

CompressResult Compress(const model::Graph& graph, const TensorMap& calibration, const TensorMap& evaluation,
                        const Tensor& labels, const CompressOptions& options,
                        const CompressProgress& progress) {
  options.Validate();
  return Search(graph, calibration, evaluation, labels, options, progress).Run();
}

}  // namespace strop::compress
