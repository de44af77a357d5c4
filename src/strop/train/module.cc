#include "strop/train/module.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/version.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/threads.h"
#include "strop/train/operators.h"

namespace strop::train {
namespace {

// The version of the torch whose libraries were loaded: it stands in version.py beside them. Empty when it is
// not there.
std::string LoadedTorchVersion(std::filesystem::path* folder) {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&at::set_num_threads), &info) == 0 || info.dli_fname == nullptr)
    return "";
  *folder = std::filesystem::absolute(info.dli_fname).parent_path().parent_path();
  const std::filesystem::path file = *folder / "version.py";
  if (!std::filesystem::exists(file)) return "";
  const std::string text = ReadFile(file), key = "__version__ = '";
  const size_t at = text.find(key);
  if (at == std::string::npos) return "";
  return text.substr(at + key.size(), text.find('\'', at + key.size()) - at - key.size());
}

// Libraries of another minor version may load and still compute wrongly: C++ of torch has no stable ABI.
void CheckTorchVersion() {
  std::filesystem::path folder;
  const std::string built = fmt::format("{}.{}", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR);
  const std::string found = LoadedTorchVersion(&folder);
  if (found.empty() || found.starts_with(built + ".")) return;
  throw Error(
      Code::kFailedPrecondition,
      fmt::format("strop train was built with torch {} and found torch {} in {}: pip install 'torch=={}.*'",
                  built, found, folder.string(), built));
}

bool IsFloat(DType dtype) { return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16; }
bool IsWeighted(const std::string& op) {
  return op == "Conv" || op == "Gemm" || op == "MatMul" || op == "BatchNormalization";
}

// The initializer that a value is, seen through nodes that only rearrange it; nullopt when it is computed
// from data.
std::optional<std::string> SourceInitializer(const model::Graph& graph, std::string value) {
  static const std::set<std::string> kRearranging = {"Identity", "Transpose", "Reshape", "Squeeze",
                                                     "Unsqueeze"};
  while (!graph.IsInitializer(value)) {
    const model::Node* producer = graph.Producer(value);
    if (producer == nullptr || !kRearranging.contains(producer->op)) return std::nullopt;
    value = producer->inputs.at(0);
  }
  return value;
}

std::vector<std::string> FindParameters(const model::Graph& graph) {
  std::vector<std::string> names;
  const auto take = [&](const std::string& value) {
    if (value.empty()) return;
    const std::optional<std::string> name = SourceInitializer(graph, value);
    if (!name || !IsFloat(graph.initializers.at(*name).dtype())) return;
    if (std::ranges::find(names, *name) == names.end()) names.push_back(*name);
  };
  for (const model::Node& node : graph.nodes) {
    if (node.op == "Conv" || node.op == "Gemm" || node.op == "MatMul") {
      for (const std::string& input : node.inputs) take(input);
    } else if (node.op == "BatchNormalization") {
      take(node.inputs.at(1));
      take(node.inputs.at(2));
    } else if (node.op == "Add") {
      for (int side = 0; side < 2; ++side) {
        const model::Node* other = graph.Producer(node.inputs.at(static_cast<size_t>(1 - side)));
        if (other != nullptr && IsWeighted(other->op)) take(node.inputs.at(static_cast<size_t>(side)));
      }
    }
  }
  return names;
}

class TorchModule : public Module {
 public:
  explicit TorchModule(const model::Graph& graph) : graph_(graph), opset_(graph.opset()) {
    CheckTorchVersion();
    for (const model::Node& node : graph_.nodes) {
      const Operator op = FindOperator(node);
      if (op == nullptr) {
        throw Error(Code::kUnsupported,
                    fmt::format("strop train cannot run operator '{}' of node '{}'; it knows {}", node.op,
                                node.name, KnownOperators()));
      }
      operators_.push_back(op);
    }
    if (graph_.outputs.empty()) throw Error(Code::kInvalidArgument, "the model has no output to train on");
    parameters_ = FindParameters(graph_);
    for (const auto& [name, tensor] : graph_.initializers) constants_[name] = ToTorch(tensor.Clone());
    for (const std::string& name : parameters_) constants_.at(name).requires_grad_(true);
    for (const model::Node& node : graph_.nodes) {
      if (node.op != "BatchNormalization") continue;
      for (const size_t slot : {3UL, 4UL}) {
        if (graph_.IsInitializer(node.inputs.at(slot))) statistics_.insert(node.inputs[slot]);
      }
    }
    output_ = graph_.outputs.front().name;
    const model::Node* last = graph_.Producer(output_);
    if (last != nullptr && (last->op == "Softmax" || last->op == "Sigmoid")) {
      closing_ = last->op;
      scores_ = last->inputs.at(0);
    } else {
      scores_ = output_;
    }
  }

  const std::vector<std::string>& parameters() const noexcept override { return parameters_; }

  Tensor Parameter(const std::string& name) const override { return FromTorch(Find(name), name); }

  void SetParameter(const std::string& name, const Tensor& value) override {
    const at::NoGradGuard guard;
    at::Tensor target = Find(name);
    if (target.sizes() != at::IntArrayRef(value.shape())) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("'{}' has shape {}, given {}", name, ShapeText(target.sizes().vec()),
                              ShapeText(value.shape())));
    }
    target.copy_(ToTorch(value));
  }

  TensorMap Forward(const TensorMap& inputs) override {
    const at::NoGradGuard guard;
    const Values values = Run(inputs, false);
    TensorMap outputs;
    for (const model::ValueInfo& output : graph_.outputs) {
      outputs[output.name] = FromTorch(values.at(output.name), output.name);
    }
    return outputs;
  }

  double Loss(const TensorMap& inputs, const Tensor& labels) override {
    const at::NoGradGuard guard;
    return LossOf(Run(inputs, false), labels).item<double>();
  }

  TensorMap Gradients(const TensorMap& inputs, const Tensor& labels) override {
    std::vector<at::Tensor> leaves;
    for (const std::string& name : parameters_) leaves.push_back(constants_.at(name));
    const at::Tensor loss = LossOf(Run(inputs, false), labels);
    const std::vector<at::Tensor> gradients =
        torch::autograd::grad({loss}, leaves, {}, std::nullopt, false, /*allow_unused=*/true);
    TensorMap result;
    for (size_t i = 0; i < leaves.size(); ++i) {
      result[parameters_[i]] =
          FromTorch(gradients[i].defined() ? gradients[i] : at::zeros_like(leaves[i]), parameters_[i]);
    }
    return result;
  }

  void StartTraining(const FitOptions& options) override {
    if (parameters_.empty()) {
      throw Error(Code::kInvalidArgument,
                  "the model has nothing to train: no float initializer reaches a Conv, Gemm, MatMul or "
                  "BatchNormalization");
    }
    at::set_num_threads(options.threads > 0 ? options.threads : UsableCpus());
    at::manual_seed(options.seed);
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
    std::vector<at::Tensor> leaves;
    for (const std::string& name : parameters_) leaves.push_back(constants_.at(name));
    if (options.optimizer == Optimizer::kAdamW) {
      optimizer_ = std::make_unique<torch::optim::AdamW>(
          leaves, torch::optim::AdamWOptions(options.learning_rate).weight_decay(options.weight_decay));
    } else {
      optimizer_ = std::make_unique<torch::optim::Adam>(
          leaves, torch::optim::AdamOptions(options.learning_rate).weight_decay(options.weight_decay));
    }
  }

  double Step(const TensorMap& inputs, const Tensor& labels, double learning_rate) override {
    if (!optimizer_) throw Error(Code::kInternal, "Step before StartTraining");
    optimizer_->param_groups().front().options().set_lr(learning_rate);
    optimizer_->zero_grad();
    const at::Tensor loss = LossOf(Run(inputs, true), labels);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw Error(Code::kFailedPrecondition,
                  fmt::format("the loss became {} at learning rate {:g}: lower --learning-rate", value,
                              learning_rate));
    }
    loss.backward();
    optimizer_->step();
    return value;
  }

  TensorMap State() const override {
    TensorMap state;
    for (const std::string& name : parameters_) state[name] = FromTorch(constants_.at(name), name);
    for (const std::string& name : statistics_) state[name] = FromTorch(constants_.at(name), name);
    return state;
  }

  void Restore(const TensorMap& state) override {
    for (const auto& [name, value] : state) SetParameter(name, value);
  }

  model::Graph Export() const override {
    model::Graph graph = graph_;
    for (auto& [name, value] : State()) graph.initializers[name] = value;
    return graph;
  }

 private:
  using Values = std::map<std::string, at::Tensor>;

  at::Tensor Find(const std::string& name) const {
    const auto found = constants_.find(name);
    if (found == constants_.end())
      throw Error(Code::kNotFound, fmt::format("the model has no initializer '{}'", name));
    return found->second;
  }

  Values Run(const TensorMap& inputs, bool training) const {
    Values values = constants_;
    for (const model::ValueInfo& input : graph_.inputs) {
      const auto given = inputs.find(input.name);
      if (given == inputs.end()) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("the batch lacks the model's input '{}'", input.name));
      }
      if (given->second.dtype() != input.dtype) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("input '{}' is {}, the model wants {}", input.name,
                                DTypeName(given->second.dtype()), DTypeName(input.dtype)));
      }
      values[input.name] = ToTorch(given->second);
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const model::Node& node = graph_.nodes[i];
      OperatorCall call{node, opset_, training, {}};
      for (const std::string& name : node.inputs) {
        call.inputs.push_back(name.empty() ? at::Tensor() : values.at(name));
      }
      try {
        values[node.outputs.at(0)] = operators_[i](call);
      } catch (const c10::Error& error) {
        const std::string what = error.what_without_backtrace();
        throw Error(Code::kInvalidArgument,
                    fmt::format("{} '{}' failed: {}", node.op, node.name, what.substr(0, what.find('\n'))));
      }
    }
    return values;
  }

  at::Tensor LossOf(const Values& values, const Tensor& labels) const {
    at::Tensor scores = values.at(scores_);
    at::Tensor truth = ToTorch(labels);
    if (truth.dim() == 2 && truth.size(1) == 1) truth = truth.squeeze(1);
    const bool classes = !IsFloat(labels.dtype());
    if (classes && scores.dim() >= 2 && scores.size(1) > 1) {
      truth = truth.to(at::kLong);
      CheckLabels(scores, truth, labels);
      return at::cross_entropy_loss(scores, truth);
    }
    if (scores.dim() == 2 && scores.size(1) == 1) scores = scores.squeeze(1);
    if (scores.sizes() != truth.sizes()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("labels of shape {} do not fit the output '{}' of shape {}",
                              ShapeText(labels.shape()), output_, ShapeText(scores.sizes().vec())));
    }
    truth = truth.to(scores.scalar_type());
    if (classes && closing_ == "Sigmoid") return at::binary_cross_entropy_with_logits(scores, truth);
    return at::mse_loss(classes || closing_.empty() ? scores : values.at(output_).reshape(truth.sizes()),
                        truth);
  }

  void CheckLabels(const at::Tensor& scores, const at::Tensor& truth, const Tensor& labels) const {
    if (truth.dim() != scores.dim() - 1 || truth.size(0) != scores.size(0)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("labels of shape {} do not fit the output '{}' of shape {}",
                              ShapeText(labels.shape()), output_, ShapeText(scores.sizes().vec())));
    }
    const at::Tensor flat = truth.reshape({-1}).contiguous();
    const int64_t classes = scores.size(1);
    for (int64_t i = 0; i < flat.numel(); ++i) {
      const int64_t label = flat.const_data_ptr<int64_t>()[i];
      if (label < 0 || label >= classes) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("label {} is outside 0 to {}, the classes of the output '{}'", label,
                                classes - 1, output_));
      }
    }
  }

  const model::Graph graph_;
  const int64_t opset_;
  std::vector<Operator> operators_;  // by node
  Values constants_;                 // initializers; parameters and running statistics change in place
  std::vector<std::string> parameters_;
  std::set<std::string> statistics_;
  std::string output_, scores_, closing_;  // scores_: the value before a closing Softmax or Sigmoid
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
};

}  // namespace

std::unique_ptr<Module> Module::Make(const model::Graph& graph) {
  return std::make_unique<TorchModule>(graph);
}

}  // namespace strop::train
