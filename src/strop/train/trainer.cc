#include "strop/train/trainer.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <numbers>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/quality.h"
#include "strop/train/module.h"

namespace strop::train {
namespace {

const Tensor& LabelOf(const TensorMap& batch, const std::string& label) {
  const auto found = batch.find(label);
  if (found == batch.end())
    throw Error(Code::kInvalidArgument, fmt::format("the batch lacks the label '{}'", label));
  return found->second;
}

// Puts the rows of many tensors one behind the other.
Tensor Joined(const std::vector<Tensor>& parts) {
  if (parts.empty()) throw Error(Code::kInvalidArgument, "there is no row to evaluate on");
  Shape shape = parts.front().shape();
  shape[0] = 0;
  for (const Tensor& part : parts) shape[0] += part.shape()[0];
  Tensor all = Tensor::New(parts.front().dtype(), shape);
  auto* out = static_cast<std::byte*>(all.data());
  for (const Tensor& part : parts) {
    std::memcpy(out, part.data(), part.bytes());
    out += part.bytes();
  }
  return all;
}

struct Metric {
  std::unique_ptr<data::QualityMetric> quality;

  Metric(const std::string& asked, const model::Graph& graph, DType label) {
    const bool classes = label != DType::kF32 && label != DType::kF64 && label != DType::kF16;
    const Shape& shape = graph.outputs.front().shape;
    const bool one_value = shape.size() == 1 || (shape.size() == 2 && shape[1] == 1);
    quality = data::QualityMetric::Make(!asked.empty() ? asked : classes && !one_value ? "accuracy" : "rmse");
  }
};

struct Judged {
  double value = 0;
  std::string metric;
  bool higher_is_better = true;
};

Judged Judge(Module& module, const model::Graph& graph, BatchSource& rows, const FitOptions& options) {
  std::vector<Tensor> predictions, labels;
  while (std::optional<TensorMap> batch = rows.Next()) {
    labels.push_back(LabelOf(*batch, options.label).Clone());
    predictions.push_back(module.Forward(*batch).at(graph.outputs.front().name));
  }
  Tensor all = Joined(predictions), truth = Joined(labels);
  if (all.shape().size() == 2 && all.shape()[1] == 1) all = all.Reshaped({all.shape()[0]});
  if (truth.shape().size() == 2 && truth.shape()[1] == 1) truth = truth.Reshaped({truth.shape()[0]});
  const Metric metric(options.metric, graph, truth.dtype());
  return {metric.quality->Value(all, truth), metric.quality->name(), metric.quality->higher_is_better()};
}

double LearningRate(const FitOptions& options, int64_t step, int64_t steps) {
  if (!options.cosine || steps <= 0) return options.learning_rate;
  return options.learning_rate * 0.5 *
         (1 + std::cos(std::numbers::pi * static_cast<double>(step) / static_cast<double>(steps)));
}

// The rows of the next epoch, trained on; nullopt when `progress` ended it before it was over.
std::optional<int64_t> TrainEpoch(Module& module, BatchSource& training, const FitOptions& options,
                                  const ProgressCallback& progress, FitProgress* now) {
  double loss_sum = 0;
  int64_t rows = 0;
  ++now->epoch;
  now->epoch_over = false;
  now->validation.reset();
  while (std::optional<TensorMap> batch = training.Next()) {
    const Tensor& labels = LabelOf(*batch, options.label);
    const int64_t batch_rows = labels.shape().empty() ? 0 : labels.shape()[0];
    if (batch_rows == 0) continue;
    loss_sum += module.Step(*batch, labels, LearningRate(options, now->step, now->steps)) *
                static_cast<double>(batch_rows);
    rows += batch_rows;
    ++now->step;
    now->loss = loss_sum / static_cast<double>(rows);
    if (progress && !progress(*now)) return std::nullopt;
  }
  if (rows == 0) throw Error(Code::kInvalidArgument, "there is no row to train on");
  return rows;
}

}  // namespace

void FitOptions::Validate() const {
  const auto refuse = [](const std::string& message) { throw Error(Code::kInvalidArgument, message); };
  if (label.empty()) refuse("label is empty: expected the name of the column with the label");
  if (epochs < 1 || epochs > 100000) refuse(fmt::format("epochs = {}: expected 1 to 100000", epochs));
  if (!(learning_rate > 0) || learning_rate > 10) {
    refuse(fmt::format("learning rate = {}: expected more than 0 and at most 10", learning_rate));
  }
  if (!(weight_decay >= 0) || weight_decay > 1)
    refuse(fmt::format("weight decay = {}: expected 0 to 1", weight_decay));
  if (threads < 0 || threads > 1024) refuse(fmt::format("threads = {}: expected 0 (all) to 1024", threads));
}

FitResult Fit(const model::Graph& graph, BatchSource& training, BatchSource* validation,
              const FitOptions& options, const ProgressCallback& progress) {
  options.Validate();
  const std::unique_ptr<Module> module = Module::Make(graph);
  module->StartTraining(options);

  FitResult result;
  TensorMap best = module->State();
  if (validation != nullptr) {
    const Judged judged = Judge(*module, graph, *validation, options);
    result.validation = Validation{judged.metric, judged.value, judged.value};
  }

  FitProgress now;
  now.steps = training.batches() * options.epochs;
  while (now.epoch < options.epochs) {
    const auto rows = TrainEpoch(*module, training, options, progress, &now);
    result.stopped = !rows;
    if (result.stopped) break;
    result.train_loss = now.loss;
    result.rows = *rows;
    result.epochs = now.epoch;
    bool better = true;
    if (validation != nullptr) {
      const Judged judged = Judge(*module, graph, *validation, options);
      double& kept = result.validation->after;
      better = judged.higher_is_better ? judged.value >= kept : judged.value <= kept;
      if (better) kept = judged.value;
      now.validation = judged.value;
    }
    if (better) {
      best = module->State();
      result.kept_epoch = now.epoch;
    }
    now.epoch_over = true;
    result.stopped = progress && !progress(now) && now.epoch < options.epochs;
    if (result.stopped) break;
  }
  module->Restore(best);
  result.model = module->Export();
  return result;
}

double Evaluate(const model::Graph& graph, BatchSource& rows, const FitOptions& options) {
  options.Validate();
  return Judge(*Module::Make(graph), graph, rows, options).value;
}

}  // namespace strop::train

extern "C" STROP_API const strop::train::Entry& strop_train_entry();

extern "C" const strop::train::Entry& strop_train_entry() {
  static const strop::train::Entry kEntry = {strop::train::Fit, strop::train::Evaluate};
  return kEntry;
}
