#include "strop/engine/step.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/model/reference/evaluator.h"

namespace strop::engine {
namespace {

std::vector<std::string> Names(const std::vector<model::ValueInfo>& values) {
  std::vector<std::string> names;
  for (const model::ValueInfo& value : values) names.push_back(value.name);
  return names;
}

void Describe(LayerPlan& plan, const model::Graph& part) {
  const auto& nodes = part.nodes;
  if (nodes.empty()) return;
  plan.layer =
      nodes.size() == 1 ? nodes[0].name : fmt::format("{} … {}", nodes.front().name, nodes.back().name);
  plan.op = nodes.size() == 1 ? nodes[0].op : fmt::format("{} nodes", nodes.size());
  for (const model::Node& node : nodes) {
    if (node.op == "QuantizeLinear" || node.op == "DequantizeLinear") plan.bits = 8;
  }
  std::vector<Tensor> weights;
  for (const auto& [name, tensor] : part.initializers)
    if (tensor.shape().size() >= 2) weights.push_back(tensor);
  plan.sparsity = ShareOfZeros(weights);
}

class OpenVinoStep : public Step {
 public:
  OpenVinoStep(const model::Graph& part, const OpenVinoModel::Options& options)
      : model_(OpenVinoModel::Compile(part, options)) {
    inputs = Names(part.inputs);
    outputs = Names(part.outputs);
    Describe(plan, part);
    plan.kernel = "openvino";
  }
  std::unique_ptr<State> NewState() override {
    auto state = std::make_unique<Requests>();
    state->request = model_->NewRequest();
    return state;
  }
  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    model_->Infer(static_cast<Requests&>(state).request, in, out);
  }
  std::vector<LayerProfile> Inside(State& state) const override {
    return model_->LayerTimes(*static_cast<Requests&>(state).request);
  }

 private:
  struct Requests : State {
    std::unique_ptr<OpenVinoModel::Request> request;
  };
  std::unique_ptr<OpenVinoModel> model_;
};

class ReferenceStep : public Step {
 public:
  explicit ReferenceStep(model::Graph part) : part_(std::move(part)) {
    for (const model::Node& node : part_.nodes) {
      model::Graph one;
      one.nodes = {node};
      if (!model::reference::SupportsAll(one, part_.opset())) {
        throw Error(Code::kUnsupported,
                    fmt::format("the reference evaluator has no operator {} (node {})", node.op, node.name));
      }
    }
    inputs = Names(part_.inputs);
    outputs = Names(part_.outputs);
    Describe(plan, part_);
    plan.kernel = "reference";
    plan.isa = IsaName(Isa::kScalar);
  }
  void Run(State&, std::span<const Tensor> in, std::span<Tensor> out) override {
    TensorMap values;
    for (size_t i = 0; i < inputs.size(); ++i) values[inputs[i]] = in[i];
    TensorMap answers = model::reference::Evaluate(part_, values, outputs);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Tensor& answer = answers.at(outputs[i]);
      if (out[i] && out[i].shape() == answer.shape() && out[i].dtype() == answer.dtype()) {
        std::copy_n(static_cast<const char*>(answer.data()), answer.bytes(),
                    static_cast<char*>(out[i].data()));
      } else {
        out[i] = answer;
      }
    }
  }

 private:
  model::Graph part_;
};

}  // namespace

void Fit(Tensor& out, DType dtype, std::span<const int64_t> shape) {
  if (out && out.dtype() == dtype &&
      std::equal(shape.begin(), shape.end(), out.shape().begin(), out.shape().end()))
    return;
  Shape wanted(shape.begin(), shape.end());
  if (out && static_cast<size_t>(ElementCount(wanted)) * SizeOf(dtype) <= out.bytes()) {
    out = Tensor::Wrap(dtype, std::move(wanted), out.data(), out.memory());
  } else {
    out = Tensor::New(dtype, std::move(wanted));
  }
}

void Describe(LayerPlan& plan, const model::Graph& graph, const std::vector<size_t>& nodes, size_t head) {
  plan.layer = graph.nodes[head].name;
  for (const size_t node : nodes) plan.op += (plan.op.empty() ? "" : "+") + graph.nodes[node].op;
}

double ShareOfZeros(std::span<const Tensor> weights) {
  int64_t zeros = 0, all = 0;
  const auto count = [&]<class T>(const Tensor& tensor) {
    const auto values = tensor.As<T>();
    zeros += std::count(values.begin(), values.end(), T{0});
    all += tensor.size();
  };
  for (const Tensor& tensor : weights) {
    if (tensor.dtype() == DType::kF32) count.template operator()<float>(tensor);
    if (tensor.dtype() == DType::kI8) count.template operator()<int8_t>(tensor);
  }
  return all == 0 ? 0 : static_cast<double>(zeros) / static_cast<double>(all);
}

std::unique_ptr<Step> MakeOpenVinoStep(const model::Graph& part, const OpenVinoModel::Options& options) {
  return std::make_unique<OpenVinoStep>(part, options);
}

std::unique_ptr<Step> MakeReferenceStep(model::Graph part) {
  return std::make_unique<ReferenceStep>(std::move(part));
}

}  // namespace strop::engine
