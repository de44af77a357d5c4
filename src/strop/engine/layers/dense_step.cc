#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/layers/chain_program.h"
#include "strop/engine/layers/dense.h"
#include "strop/engine/layers/product.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

constexpr int64_t kManyRows = 64;  // what plan() names: the kernel of a batch
// Floats of a block of the product that a chain takes from L2.
constexpr int64_t kChainBlock = 1 << 17;

ProductWeights WeightsOf(const model::Graph& graph, const DenseLayer& layer) {
  ProductWeights weights;
  weights.n = layer.n;
  weights.k = layer.k;
  weights.weights = Constant(graph, layer.weight);
  weights.transposed = layer.transposed;
  weights.alpha = layer.weight_scale;
  weights.beta = layer.bias_scale;
  weights.bias = Constant(graph, layer.bias);
  if (layer.relu) weights.clamp = Clamp::Relu();
  if (layer.integers) SetIntegers(weights, graph, *layer.integers);
  return weights;
}

// Rows of the input by the weights, in blocks over the threads; a chain takes each block from L2.
class DenseStep : public Step {
 public:
  DenseStep(const LayerBuild& build, const DenseLayer& layer)
      : n_(layer.n),
        k_(layer.k),
        pool_(build.pool),
        input_size_(layer.integers ? 1 : static_cast<int64_t>(sizeof(float))),
        dtype_(layer.integers && layer.integers->output ? layer.integers->output->dtype : DType::kF32),
        product_(MakeProduct(WeightsOf(build.graph, layer), Limit(Cpu(), build.isa))) {
    inputs = {layer.input};
    outputs = {layer.output};
    Describe(plan, build.graph, layer.nodes, layer.product);
    plan.sparsity = ShareOfZeros({&build.graph.initializers.at(layer.weight), 1});
    plan.kernel = product_->Kernel(kManyRows);
    plan.isa = IsaName(product_->isa());
    if (layer.integers) plan.bits = 8;
    if (!layer.chain) return;
    program_.emplace(build.graph, *layer.chain, build.isa);
    dtype_ = program_->dtype();
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
    const int64_t m = in[0].size() / k_;
    memory.kernel = product_->Kernel(m);
    const GemmGrid grid = product_->Split(m, pool_.threads());
    if (program_ && grid.columns == 1) {
      pool_.Run(grid.rows, [&](int64_t part) { RunRows(memory, part, grid.rows, in, out[0]); });
      return;
    }
    // With a chain there are fewer rows than tiles for all threads, so that they fit the blocks.
    void* const c = program_ ? memory.blocks.data() : out[0].data();
    pool_.Run(grid.rows * grid.columns,
              [&](int64_t index) { product_->Multiply(m, in[0].data(), c, grid, index); });
    if (program_) Finish(memory, 0, c, 0, m, in, out[0]);
  }

 private:
  // What one run at a time needs; of a chain, each thread has its block.
  struct Memory : State {
    std::string_view kernel;
    Tensor blocks, scratch;
    std::vector<const void*> pointers;
  };

  int64_t RowsOfBlock() const noexcept {
    const int64_t unit = product_->Tiling(kManyRows).mr;
    return std::max<int64_t>(1, kChainBlock / n_ / unit) * unit;
  }

  // The answer to rows of k.
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
    Fit(out, dtype_, shape);
  }

  // A thread's rows, block by block through the chain.
  void RunRows(Memory& memory, int64_t part, int64_t parts, std::span<const Tensor> in,
               const Tensor& out) const {
    const int64_t m = in[0].size() / k_, unit = product_->Tiling(m).mr, tiles = (m + unit - 1) / unit;
    const int64_t begin = std::min(m, tiles * part / parts * unit),
                  end = std::min(m, tiles * (part + 1) / parts * unit);
    // Blocks as even as tiles allow: each reads all of the weights.
    const int64_t most = RowsOfBlock(), blocks = (end - begin + most - 1) / most;
    const int64_t some = blocks == 0 ? 0 : ((end - begin + blocks - 1) / blocks + unit - 1) / unit * unit;
    float* const block = static_cast<float*>(memory.blocks.data()) + part * most * n_;
    for (int64_t row = begin; row < end; row += some) {
      const int64_t rows = std::min(some, end - row);
      product_->Multiply(rows, static_cast<const char*>(in[0].data()) + row * k_ * input_size_, block, {}, 0);
      Finish(memory, part, block, row, rows, in, out);
    }
  }

  // The chain over rows of the product.
  void Finish(Memory& memory, int64_t part, const void* block, int64_t row, int64_t rows,
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

  const int64_t n_, k_;
  ThreadPool& pool_;
  const int64_t input_size_;
  DType dtype_;
  const std::unique_ptr<Product> product_;
  std::optional<ChainProgram> program_;
};

}  // namespace

std::unique_ptr<Step> MakeDenseStep(const LayerBuild& build, const DenseLayer& layer) {
  return std::make_unique<DenseStep>(build, layer);
}

}  // namespace strop::engine
