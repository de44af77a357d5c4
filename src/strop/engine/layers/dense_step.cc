#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/kernels/gemm/gemm.h"
#include "strop/engine/kernels/int8_gemm/int8_gemm.h"
#include "strop/engine/layers/chain_program.h"
#include "strop/engine/layers/dense.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

constexpr int64_t kManyRows = 64;  // what plan() names: the kernel of a batch
// Floats of a block of the product that a chain takes from L2.
constexpr int64_t kChainBlock = 1 << 16;

// A product of m rows, or its block.
struct Product {
  int64_t m;
  const void* a;
  void* c;
};

// What layers of float32 and of integers share: the input, the blocks, the chain.
class DenseStep : public Step {
 public:
  DenseStep(const LayerBuild& build, const DenseLayer& layer, DType input, DType product)
      : flags_(Limit(Cpu(), build.isa)),
        n_(layer.n),
        k_(layer.k),
        relu_(layer.relu),
        pool_(build.pool),
        input_size_(static_cast<int64_t>(SizeOf(input))),
        product_(product) {
    inputs = {layer.input};
    outputs = {layer.output};
    Describe(plan, build.graph, layer.nodes, layer.product);
    plan.sparsity = ShareOfZeros({&build.graph.initializers.at(layer.weight), 1});
    if (!layer.chain) return;
    program_.emplace(build.graph, *layer.chain, build.isa);
    for (size_t i = 1; i < layer.chain->inputs.size(); ++i) inputs.push_back(layer.chain->inputs[i].value);
  }

  std::unique_ptr<State> NewState() override {
    auto state = std::make_unique<Memory>();
    if (!program_) return state;
    const auto threads = static_cast<size_t>(pool_.threads());
    state->blocks = Tensor::New(DType::kF32, {pool_.threads(), RowsOfBlock() * n_});
    state->scratch =
        Tensor::New(DType::kF32, {pool_.threads(), static_cast<int64_t>(program_->scratch_floats()) + 16});
    state->pointers.resize(inputs.size() * threads);
    return state;
  }
  std::string_view Kernel(const State& state) const noexcept override {
    const std::string_view last = static_cast<const Memory&>(state).kernel;
    return last.empty() ? std::string_view(plan.kernel) : last;
  }

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    Make(out[0], in[0]);
    auto& memory = static_cast<Memory&>(state);
    const Product whole{in[0].size() / k_, in[0].data(), out[0].data()};
    memory.kernel = KernelName(whole.m);
    const GemmTiling tile = Tiling(whole.m);
    const GemmShape shape{whole.m, n_, k_};
    const GemmGrid grid = SplitGemm(shape, tile, pool_.threads());
    if (!program_) {
      pool_.Run(grid.rows * grid.columns, [&](int64_t index) { Multiply(whole, grid, index); });
    } else if (grid.columns == 1) {
      pool_.Run(grid.rows, [&](int64_t part) { RunRows(memory, part, grid.rows, whole, in, out[0]); });
    } else {  // fewer rows than tiles for all threads: they fit the blocks
      const Product block{whole.m, whole.a, memory.blocks.data()};
      pool_.Run(grid.rows * grid.columns, [&](int64_t index) { Multiply(block, grid, index); });
      Finish(memory, 0, static_cast<const float*>(memory.blocks.data()), 0, whole.m, in, out[0]);
    }
  }

 protected:
  virtual GemmTiling Tiling(int64_t m) const noexcept = 0;
  virtual std::string_view KernelName(int64_t m) const noexcept = 0;
  // One block of the grid.
  virtual void Multiply(const Product& product, const GemmGrid& grid, int64_t index) const noexcept = 0;

  const CpuFlags flags_;
  const int64_t n_, k_;
  const bool relu_;

 private:
  // What one run at a time needs; of a chain, each thread has its block.
  struct Memory : State {
    std::string_view kernel;
    Tensor blocks, scratch;
    std::vector<const void*> pointers;
  };

  int64_t RowsOfBlock() const noexcept {
    const int64_t unit = Tiling(kManyRows).mr;
    return std::max<int64_t>(1, kChainBlock / n_ / unit) * unit;
  }

  // The answer to rows of k, in the memory that is there if it fits.
  void Make(Tensor& out, const Tensor& in) const {
    const Shape& rows = in.shape();
    if (rows.size() < 2 || rows.back() != k_)
      throw Error(Code::kInvalidArgument, fmt::format("node {} ({}): its input is {}, expected rows of {}",
                                                      plan.layer, plan.op, ShapeText(rows), k_));
    const bool fits = out && out.shape().size() == rows.size() && out.shape().back() == n_ &&
                      std::equal(rows.begin(), rows.end() - 1, out.shape().begin());
    if (fits) return;
    Shape shape = rows;
    shape.back() = n_;
    out = Tensor::New(program_ ? program_->dtype() : product_, shape);
  }

  // A thread's rows, block by block through the chain.
  void RunRows(Memory& memory, int64_t part, int64_t parts, const Product& whole, std::span<const Tensor> in,
               const Tensor& out) const {
    const int64_t unit = Tiling(whole.m).mr, tiles = (whole.m + unit - 1) / unit;
    const int64_t begin = std::min(whole.m, tiles * part / parts * unit),
                  end = std::min(whole.m, tiles * (part + 1) / parts * unit);
    const int64_t most = RowsOfBlock();
    float* const block = static_cast<float*>(memory.blocks.data()) + part * most * n_;
    for (int64_t row = begin; row < end; row += most) {
      const int64_t rows = std::min(most, end - row);
      Multiply({rows, static_cast<const char*>(whole.a) + row * k_ * input_size_, block}, {}, 0);
      Finish(memory, part, block, row, rows, in, out);
    }
  }

  // The chain over rows of the product.
  void Finish(Memory& memory, int64_t part, const float* block, int64_t row, int64_t rows,
              std::span<const Tensor> in, const Tensor& out) const noexcept {
    const std::span<const void*> pointers(memory.pointers.data() + part * static_cast<int64_t>(in.size()),
                                          in.size());
    pointers[0] = block;
    for (size_t i = 1; i < in.size(); ++i)
      pointers[i] =
          static_cast<const char*>(in[i].data()) + row * n_ * static_cast<int64_t>(SizeOf(in[i].dtype()));
    char* const answer =
        static_cast<char*>(out.data()) + row * n_ * static_cast<int64_t>(SizeOf(out.dtype()));
    const int64_t stride = memory.scratch.shape().back();
    program_->Run(pointers, answer, row * n_, rows * n_,
                  static_cast<float*>(memory.scratch.data()) + part * stride);
  }

  ThreadPool& pool_;
  const int64_t input_size_;
  const DType product_;
  std::optional<ChainProgram> program_;
};

class FloatDenseStep : public DenseStep {
 public:
  FloatDenseStep(const LayerBuild& build, const DenseLayer& layer)
      : DenseStep(build, layer, DType::kF32, DType::kF32) {
    // The kernels of one instruction set share a panel width, so the packing serves every number of rows.
    const GemmKernel& kernel = PickGemm({kManyRows, n_, k_}, flags_);
    weights_ = PackWeights(build.graph.initializers.at(layer.weight).As<float>().data(), n_, k_,
                           layer.transposed, layer.weight_scale, kernel.tile.nr);
    if (!layer.bias.empty()) {
      const auto values = build.graph.initializers.at(layer.bias).As<float>();
      for (int64_t i = 0; i < n_; ++i)
        bias_.push_back(layer.bias_scale * values[values.size() == 1 ? 0 : static_cast<size_t>(i)]);
    }
    plan.kernel = kernel.name;
    plan.isa = IsaName(kernel.isa);
  }

 private:
  const GemmKernel& KernelOf(int64_t m) const noexcept { return PickGemm({m, n_, k_}, flags_); }
  GemmTiling Tiling(int64_t m) const noexcept override { return KernelOf(m).tile; }
  std::string_view KernelName(int64_t m) const noexcept override { return KernelOf(m).name; }
  void Multiply(const Product& product, const GemmGrid& grid, int64_t index) const noexcept override {
    const GemmKernel& kernel = KernelOf(product.m);
    GemmArgs args;
    args.m = product.m;
    args.n = args.ldc = n_;
    args.k = args.lda = k_;
    args.a = static_cast<const float*>(product.a);
    args.b = static_cast<const float*>(weights_.panels.data());
    args.bias = bias_.empty() ? nullptr : bias_.data();
    args.c = static_cast<float*>(product.c);
    if (relu_) args.clamp = Clamp::Relu();
    kernel.run(GemmBlock(args, kernel, grid, index));
  }

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
// scale_w + bias: what the kernel calls correction, scale and offset.
class Int8DenseStep : public DenseStep {
 public:
  Int8DenseStep(const LayerBuild& build, const DenseLayer& layer)
      : DenseStep(build, layer, DType::kU8,
                  layer.integers->output ? layer.integers->output->dtype : DType::kF32),
        input_(layer.integers->input),
        output_(layer.integers->output) {
    const Int8GemmKernel& kernel = PickInt8Gemm(kManyRows, flags_);
    const std::vector<int8_t> weights = Int8Weights(build.graph.initializers.at(layer.weight));
    weights_ = PackInt8Weights(weights.data(), n_, k_, layer.transposed, kernel);
    SetColumns(build.graph, layer);
    plan.kernel = kernel.name;
    plan.isa = IsaName(kernel.isa);
    plan.bits = 8;
  }

 private:
  GemmTiling Tiling(int64_t m) const noexcept override { return PickInt8Gemm(m, flags_).tile; }
  std::string_view KernelName(int64_t m) const noexcept override { return PickInt8Gemm(m, flags_).name; }
  void Multiply(const Product& product, const GemmGrid& grid, int64_t index) const noexcept override {
    const Int8GemmKernel& kernel = PickInt8Gemm(product.m, flags_);
    Int8GemmArgs args;
    args.m = product.m;
    args.n = args.ldc = n_;
    args.k = args.lda = k_;
    args.a = static_cast<const uint8_t*>(product.a);
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
    args.c = product.c;
    kernel.run(Int8GemmBlock(args, kernel.tile, grid, index));
  }

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

std::unique_ptr<Step> MakeDenseStep(const LayerBuild& build, const DenseLayer& layer) {
  if (layer.integers) return std::make_unique<Int8DenseStep>(build, layer);
  return std::make_unique<FloatDenseStep>(build, layer);
}

}  // namespace strop::engine
