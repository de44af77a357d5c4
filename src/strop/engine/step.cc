#include "strop/engine/step.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/kernels/gemm/gemm.h"
#include "strop/model/reference/evaluator.h"

namespace strop::engine {
namespace {

std::vector<std::string> Names(const std::vector<model::ValueInfo>& values) {
  std::vector<std::string> names;
  for (const model::ValueInfo& value : values) names.push_back(value.name);
  return names;
}

// Zeros and elements of a weight; nothing for dtypes that hold none.
std::pair<int64_t, int64_t> Zeros(const Tensor& tensor) {
  const auto count = [&]<class T>() {
    const auto values = tensor.As<T>();
    return std::pair(static_cast<int64_t>(std::count(values.begin(), values.end(), T{0})), tensor.size());
  };
  if (tensor.dtype() == DType::kF32) return count.template operator()<float>();
  if (tensor.dtype() == DType::kI8) return count.template operator()<int8_t>();
  return {0, 0};
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
  int64_t zeros = 0, all = 0;
  for (const auto& [name, tensor] : part.initializers) {
    if (tensor.shape().size() < 2) continue;
    const auto [zero, count] = Zeros(tensor);
    zeros += zero;
    all += count;
  }
  plan.sparsity = all == 0 ? 0 : static_cast<double>(zeros) / static_cast<double>(all);
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

class DenseStep : public Step {
 public:
  DenseStep(const model::Graph& graph, const DenseLayer& layer, Isa isa, ThreadPool& pool)
      : flags_(Limit(Cpu(), isa)), relu_(layer.relu), pool_(pool) {
    inputs = {layer.input};
    outputs = {layer.output};
    const Tensor& weight = graph.initializers.at(layer.weight);
    // The kernels of one instruction set share a panel width, so the packing serves every number of rows.
    weights_ = PackWeights(weight.As<float>().data(), layer.n, layer.k, layer.transposed, layer.weight_scale,
                           PickGemm({kManyRows, layer.n, layer.k}, flags_).nr);
    if (!layer.bias.empty()) {
      const auto values = graph.initializers.at(layer.bias).As<float>();
      for (int64_t i = 0; i < layer.n; ++i) {
        bias_.push_back(layer.bias_scale * values[values.size() == 1 ? 0 : static_cast<size_t>(i)]);
      }
    }
    plan.layer = graph.nodes[layer.nodes[0]].name;
    for (const size_t node : layer.nodes) plan.op += (plan.op.empty() ? "" : "+") + graph.nodes[node].op;
    const GemmKernel& kernel = PickGemm({kManyRows, layer.n, layer.k}, flags_);
    plan.kernel = kernel.name;
    plan.isa = IsaName(kernel.isa);
    const auto [zeros, all] = Zeros(weight);
    plan.sparsity = static_cast<double>(zeros) / static_cast<double>(all);
  }

  std::unique_ptr<State> NewState() override { return std::make_unique<LastKernel>(); }
  std::string_view Kernel(const State& state) const noexcept override {
    const GemmKernel* last = static_cast<const LastKernel&>(state).kernel;
    return last == nullptr ? std::string_view(plan.kernel) : last->name;
  }
  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    if (!out[0]) {
      Shape shape = in[0].shape();
      shape.back() = weights_.n;
      out[0] = Tensor::New(DType::kF32, shape);
    }
    const int64_t m = in[0].size() / weights_.k;
    const GemmArgs args{m,
                        weights_.n,
                        weights_.k,
                        in[0].As<float>().data(),
                        weights_.k,
                        static_cast<const float*>(weights_.panels.data()),
                        bias_.empty() ? nullptr : bias_.data(),
                        out[0].As<float>().data(),
                        weights_.n,
                        relu_};
    const GemmShape shape{m, weights_.n, weights_.k};
    const GemmKernel& kernel = PickGemm(shape, flags_);
    static_cast<LastKernel&>(state).kernel = &kernel;
    const GemmGrid grid = SplitGemm(shape, kernel, pool_.threads());
    pool_.Run(grid.rows * grid.columns,
              [&](int64_t index) { kernel.run(GemmBlock(args, kernel, grid, index)); });
  }

 private:
  struct LastKernel : State {
    const GemmKernel* kernel = nullptr;
  };
  static constexpr int64_t kManyRows = 64;  // what plan() names: the kernel of a batch
  const CpuFlags flags_;
  const bool relu_;
  ThreadPool& pool_;
  PackedWeights weights_;
  std::vector<float> bias_;
};

}  // namespace

std::unique_ptr<Step> MakeOpenVinoStep(const model::Graph& part, const OpenVinoModel::Options& options) {
  return std::make_unique<OpenVinoStep>(part, options);
}

std::unique_ptr<Step> MakeReferenceStep(model::Graph part) {
  return std::make_unique<ReferenceStep>(std::move(part));
}

std::unique_ptr<Step> MakeDenseStep(const model::Graph& graph, const DenseLayer& layer, Isa isa,
                                    ThreadPool& pool) {
  return std::make_unique<DenseStep>(graph, layer, isa, pool);
}

}  // namespace strop::engine
