#include <functional>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/kernels/gemm/gemm.h"
#include "strop/engine/kernels/int8_gemm/int8_gemm.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

constexpr int64_t kManyRows = 64;  // what plan() names: the kernel of a batch

// What layers of float32 and of integers share: one input, one output, the kernel that ran last.
class DenseStep : public Step {
 public:
  DenseStep(const model::Graph& graph, const DenseLayer& layer, Isa isa, ThreadPool& pool)
      : flags_(Limit(Cpu(), isa)), n_(layer.n), k_(layer.k), relu_(layer.relu), pool_(pool) {
    inputs = {layer.input};
    outputs = {layer.output};
    plan.layer = graph.nodes[layer.product].name;
    for (const size_t node : layer.nodes) plan.op += (plan.op.empty() ? "" : "+") + graph.nodes[node].op;
    plan.sparsity = ShareOfZeros({&graph.initializers.at(layer.weight), 1});
  }
  std::unique_ptr<State> NewState() override { return std::make_unique<LastKernel>(); }
  std::string_view Kernel(const State& state) const noexcept override {
    const std::string_view last = static_cast<const LastKernel&>(state).kernel;
    return last.empty() ? std::string_view(plan.kernel) : last;
  }

 protected:
  struct LastKernel : State {
    std::string_view kernel;
  };
  // The answer to rows of k, in the memory that is there if it fits.
  void Make(Tensor& out, const Tensor& in, DType dtype) const {
    Shape shape = in.shape();
    if (shape.size() < 2 || shape.back() != k_)
      throw Error(Code::kInvalidArgument, fmt::format("node {} ({}): its input is {}, expected rows of {}",
                                                      plan.layer, plan.op, ShapeText(shape), k_));
    shape.back() = n_;
    if (!out || out.shape() != shape) out = Tensor::New(dtype, shape);
  }
  // In blocks on the pool's threads.
  void RunBlocks(const GemmShape& shape, const GemmTiling& tile,
                 const std::function<void(const GemmGrid&, int64_t)>& block) {
    const GemmGrid grid = SplitGemm(shape, tile, pool_.threads());
    pool_.Run(grid.rows * grid.columns, [&](int64_t index) { block(grid, index); });
  }

  const CpuFlags flags_;
  const int64_t n_, k_;
  const bool relu_;

 private:
  ThreadPool& pool_;
};

class FloatDenseStep : public DenseStep {
 public:
  FloatDenseStep(const model::Graph& graph, const DenseLayer& layer, Isa isa, ThreadPool& pool)
      : DenseStep(graph, layer, isa, pool) {
    // The kernels of one instruction set share a panel width, so the packing serves every number of rows.
    const GemmKernel& kernel = PickGemm({kManyRows, n_, k_}, flags_);
    weights_ = PackWeights(graph.initializers.at(layer.weight).As<float>().data(), n_, k_, layer.transposed,
                           layer.weight_scale, kernel.tile.nr);
    if (!layer.bias.empty()) {
      const auto values = graph.initializers.at(layer.bias).As<float>();
      for (int64_t i = 0; i < n_; ++i)
        bias_.push_back(layer.bias_scale * values[values.size() == 1 ? 0 : static_cast<size_t>(i)]);
    }
    plan.kernel = kernel.name;
    plan.isa = IsaName(kernel.isa);
  }

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    Make(out[0], in[0], DType::kF32);
    const GemmShape shape{in[0].size() / k_, n_, k_};
    const GemmKernel& kernel = PickGemm(shape, flags_);
    static_cast<LastKernel&>(state).kernel = kernel.name;
    const GemmArgs args{shape.m,
                        n_,
                        k_,
                        in[0].As<float>().data(),
                        k_,
                        static_cast<const float*>(weights_.panels.data()),
                        bias_.empty() ? nullptr : bias_.data(),
                        out[0].As<float>().data(),
                        n_,
                        relu_};
    RunBlocks(shape, kernel.tile,
              [&](const GemmGrid& grid, int64_t index) { kernel.run(GemmBlock(args, kernel, grid, index)); });
  }

 private:
  PackedWeights weights_;
  std::vector<float> bias_;
};

// The i-th of n values of which one may stand for all.
double ValueAt(const Tensor& tensor, int64_t i) {
  const size_t at = tensor.size() == 1 ? 0 : static_cast<size_t>(i);
  return tensor.dtype() == DType::kI32 ? tensor.As<int32_t>()[at]
                                       : static_cast<double>(tensor.As<float>()[at]);
}

// uint8 weights around 128 as int8.
std::vector<int8_t> Int8Weights(const Tensor& weight) {
  if (weight.dtype() == DType::kI8) return {weight.As<int8_t>().begin(), weight.As<int8_t>().end()};
  std::vector<int8_t> centred;
  for (const uint8_t value : weight.As<uint8_t>()) centred.push_back(static_cast<int8_t>(value - 128));
  return centred;
}

// With x = (a - zero) · scale_x and w = b · scale_w, x · w + bias is (a · b - zero · sum(b)) · scale_x ·
// scale_w
// + bias: what the kernel calls correction, scale and offset.
class Int8DenseStep : public DenseStep {
 public:
  Int8DenseStep(const model::Graph& graph, const DenseLayer& layer, Isa isa, ThreadPool& pool)
      : DenseStep(graph, layer, isa, pool), input_(layer.integers->input), output_(layer.integers->output) {
    const Int8GemmKernel& kernel = PickInt8Gemm(kManyRows, flags_);
    const std::vector<int8_t> weights = Int8Weights(graph.initializers.at(layer.weight));
    weights_ = PackInt8Weights(weights.data(), n_, k_, layer.transposed, kernel);
    SetColumns(graph, layer);
    plan.kernel = kernel.name;
    plan.isa = IsaName(kernel.isa);
    plan.bits = 8;
  }

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    Make(out[0], in[0], output_ ? output_->dtype : DType::kF32);
    const GemmShape shape{in[0].size() / k_, n_, k_};
    const Int8GemmKernel& kernel = PickInt8Gemm(shape.m, flags_);
    static_cast<LastKernel&>(state).kernel = kernel.name;
    Int8GemmArgs args;
    args.m = shape.m;
    args.n = args.ldc = n_;
    args.k = args.lda = k_;
    args.a = static_cast<const uint8_t*>(in[0].data());
    args.is_signed = input_.dtype == DType::kI8;
    args.sums = weights_.sums.data();
    args.b = static_cast<const int8_t*>(weights_.panels.data());
    args.outliers = weights_.outliers.data();
    args.outlier_begin = weights_.outlier_begin.empty() ? nullptr : weights_.outlier_begin.data();
    args.correction = correction_.data();
    args.scale = scale_.data();
    args.offset = offset_.data();
    args.relu = relu_;
    args.zero = output_ ? output_->zero : 0;
    args.output = !output_                       ? Int8Output::kF32
                  : output_->dtype == DType::kU8 ? Int8Output::kU8
                                                 : Int8Output::kS8;
    args.c = out[0].data();
    RunBlocks(shape, kernel.tile, [&](const GemmGrid& grid, int64_t index) {
      kernel.run(Int8GemmBlock(args, kernel.tile, grid, index));
    });
  }

 private:
  void SetColumns(const model::Graph& graph, const DenseLayer& layer) {
    const auto constant = [&](const std::string& name) {
      return name.empty() ? Tensor() : graph.initializers.at(name);
    };
    const Tensor weight_scale = constant(layer.integers->weight_scale), bias = constant(layer.bias),
                 bias_scale = constant(layer.integers->bias_scale);
    const double divisor = output_ ? static_cast<double>(output_->scale) : 1.0;
    for (int64_t i = 0; i < n_; ++i) {
      const double scale = static_cast<double>(input_.scale) * ValueAt(weight_scale, i) *
                           static_cast<double>(layer.weight_scale);
      double offset = bias ? ValueAt(bias, i) * static_cast<double>(layer.bias_scale) : 0;
      if (bias_scale) offset *= ValueAt(bias_scale, i);
      correction_.push_back(-input_.zero * weights_.sums[static_cast<size_t>(i)]);
      scale_.push_back(static_cast<float>(scale / divisor));
      offset_.push_back(static_cast<float>(offset / divisor));
    }
  }

  const Quantization input_;
  const std::optional<Quantization> output_;
  PackedInt8Weights weights_;
  std::vector<int32_t> correction_;
  std::vector<float> scale_, offset_;
};

}  // namespace

std::unique_ptr<Step> MakeDenseStep(const model::Graph& graph, const DenseLayer& layer, Isa isa,
                                    ThreadPool& pool) {
  if (layer.integers) return std::make_unique<Int8DenseStep>(graph, layer, isa, pool);
  return std::make_unique<FloatDenseStep>(graph, layer, isa, pool);
}

}  // namespace strop::engine
