#include "strop/engine/layers/product.h"

#include <algorithm>
#include <vector>

#include "strop/engine/kernels/gemm/gemm.h"
#include "strop/engine/kernels/int8_gemm/int8_gemm.h"

namespace strop::engine {
namespace {

constexpr int64_t kManyRows = 64;  // whose kernel the weights are packed for

// The i-th of n values of which one may stand for all.
double ValueAt(const Tensor& tensor, int64_t i) {
  const size_t at = tensor.size() == 1 ? 0 : static_cast<size_t>(i);
  return tensor.dtype() == DType::kI32 ? tensor.As<int32_t>()[at]
                                       : static_cast<double>(tensor.As<float>()[at]);
}

class FloatProduct : public Product {
 public:
  FloatProduct(const ProductWeights& w, const CpuFlags& flags)
      : flags_(flags), n_(w.n), k_(w.k), clamp_(w.clamp) {
    // The kernels of one instruction set share a panel width, so the packing serves every number of rows.
    packed_ =
        PackWeights(w.weights.As<float>().data(), n_, k_, w.transposed, w.alpha, KernelOf(kManyRows).tile.nr);
    for (int64_t i = 0; w.bias && i < n_; ++i)
      bias_.push_back(static_cast<float>(static_cast<double>(w.beta) * ValueAt(w.bias, i)));
  }
  GemmTiling Tiling(int64_t m) const noexcept override { return KernelOf(m).tile; }
  GemmGrid Split(int64_t m, int threads) const noexcept override {
    return SplitGemm({m, n_, k_}, Tiling(m), threads, kFloatWorth);
  }
  std::string_view Kernel(int64_t m) const noexcept override { return KernelOf(m).name; }
  Isa isa() const noexcept override { return KernelOf(kManyRows).isa; }

  void Multiply(int64_t m, const void* a, void* c, const GemmGrid& grid,
                int64_t index) const noexcept override {
    const GemmKernel& kernel = KernelOf(m);
    GemmArgs args;
    args.m = m;
    args.n = args.ldc = n_;
    args.k = args.lda = k_;
    args.a = static_cast<const float*>(a);
    args.b = static_cast<const float*>(packed_.panels.data());
    args.bias = bias_.empty() ? nullptr : bias_.data();
    args.c = static_cast<float*>(c);
    args.clamp = clamp_;
    kernel.run(GemmBlock(args, kernel, grid, index));
  }
  void MultiplyImage(const ImageRows&, void*) const noexcept override {}

 private:
  const GemmKernel& KernelOf(int64_t m) const noexcept { return PickGemm({m, n_, k_}, flags_); }

  const CpuFlags flags_;
  const int64_t n_, k_;
  const Clamp clamp_;
  PackedWeights packed_;
  std::vector<float> bias_;
};

class Int8Product : public Product {
 public:
  Int8Product(const ProductWeights& w, const CpuFlags& flags)
      : flags_(flags), n_(w.n), k_(w.k), input_(*w.input), output_(w.output) {
    const Tensor weights = AsInt8(w.weights);
    // The kernels of one set of flags share a panel width, so the packing serves every number of rows.
    packed_ = PackInt8Weights(weights.As<int8_t>().data(), n_, k_, w.transposed, KernelOf(kManyRows), w.part);
    columns_ = MakeInt8Columns(w, packed_.sums);
    if (w.part == 0 || w.part >= kInt8RestSpan || packed_.rest_begin.empty()) return;
    part_ = w.part;
    for (int64_t row = 0; row < k_; row += part_) offsets_.push_back(row);
  }
  GemmTiling Tiling(int64_t m) const noexcept override { return KernelOf(m).tile; }
  GemmGrid Split(int64_t m, int threads) const noexcept override {
    return SplitGemm({m, n_, k_}, Tiling(m), threads, kInt8Worth);
  }
  std::string_view Kernel(int64_t m) const noexcept override { return KernelOf(m).name; }
  Isa isa() const noexcept override { return KernelOf(kManyRows).isa; }

  void Multiply(int64_t m, const void* a, void* c, const GemmGrid& grid,
                int64_t index) const noexcept override {
    const Int8GemmKernel& kernel = KernelOf(m);
    Int8GemmArgs args = Args(c);
    args.m = m;
    args.lda = k_;
    args.a = static_cast<const uint8_t*>(a);
    args.tap_depth = part_;
    args.tap_offset = offsets_.empty() ? nullptr : offsets_.data();
    kernel.run(Int8GemmBlock(args, kernel, grid, index));
  }
  void MultiplyImage(const ImageRows& rows, void* c) const noexcept override {
    Int8GemmArgs args = Args(c);
    args.m = rows.m;
    args.lda = rows.lda;
    args.run = rows.run;
    args.run_stride = rows.run_stride;
    args.tap_depth = rows.tap_depth;
    args.tap_offset = rows.tap_offset;
    args.a = static_cast<const uint8_t*>(rows.a);
    KernelOf(rows.m).run(args);
  }

 private:
  const Int8GemmKernel& KernelOf(int64_t m) const noexcept { return PickInt8Gemm({m, n_, k_}, flags_); }

  // All but what says where the rows are.
  Int8GemmArgs Args(void* c) const noexcept {
    Int8GemmArgs args;
    args.n = args.ldc = n_;
    args.k = k_;
    args.is_signed = input_.dtype == DType::kI8;
    args.sums = packed_.sums.data();
    args.b = static_cast<const int8_t*>(packed_.panels.data());
    if (!packed_.rest_begin.empty()) {
      args.rests = static_cast<const int8_t*>(packed_.rests.data());
      args.rest_row = packed_.rest_row.data();
      args.rest_begin = packed_.rest_begin.data();
    }
    args.correction = columns_.correction.data();
    args.scale = columns_.scale.data();
    args.offset = columns_.offset.data();
    args.clamp = columns_.clamp;
    args.zero = output_ ? output_->zero : 0;
    args.output = OutputOf(output_);
    args.c = c;
    return args;
  }

  const CpuFlags flags_;
  const int64_t n_, k_;
  const Quantization input_;
  const std::optional<Quantization> output_;
  PackedInt8Weights packed_;
  // Rows without gaps are in parts too where those have fewer rows than a vector of rests may be of.
  int64_t part_ = 0;
  std::vector<int64_t> offsets_;
  Int8ColumnsOf columns_;
};

}  // namespace

int64_t TapUnit(const CpuFlags& flags) noexcept {
  int64_t unit = 1;
  for (const Int8GemmKernel& kernel : Int8GemmKernels())
    if (kernel.isa <= HighestIsa(flags)) unit = std::max(unit, kernel.depth);
  return unit;
}

Tensor Constant(const model::Graph& graph, const std::string& name) {
  return name.empty() ? Tensor() : graph.initializers.at(name);
}

void SetIntegers(ProductWeights& weights, const model::Graph& graph, const LayerIntegers& integers) {
  weights.input = integers.input;
  weights.output = integers.output;
  weights.weight_scale = Constant(graph, integers.weight_scale);
  weights.bias_scale = Constant(graph, integers.bias_scale);
}

Tensor AsInt8(const Tensor& weights) {
  if (weights.dtype() == DType::kI8) return weights;
  Tensor centred = Tensor::New(DType::kI8, weights.shape());
  std::transform(weights.As<uint8_t>().begin(), weights.As<uint8_t>().end(), centred.As<int8_t>().begin(),
                 [](uint8_t value) { return static_cast<int8_t>(value - 128); });
  return centred;
}

Int8Output OutputOf(const std::optional<Quantization>& output) noexcept {
  if (!output) return Int8Output::kF32;
  return output->dtype == DType::kU8 ? Int8Output::kU8 : Int8Output::kS8;
}

Int8ColumnsOf MakeInt8Columns(const ProductWeights& w, const std::vector<int32_t>& sums) {
  Int8ColumnsOf columns;
  const double divisor = w.output ? static_cast<double>(w.output->scale) : 1.0;
  for (int64_t i = 0; i < w.n; ++i) {
    const double scale =
        static_cast<double>(w.input->scale) * ValueAt(w.weight_scale, i) * static_cast<double>(w.alpha);
    double offset = w.bias ? ValueAt(w.bias, i) * static_cast<double>(w.beta) : 0;
    if (w.bias_scale) offset *= ValueAt(w.bias_scale, i);
    columns.correction.push_back(-w.input->zero * sums[static_cast<size_t>(i)]);
    columns.scale.push_back(static_cast<float>(scale / divisor));
    columns.offset.push_back(static_cast<float>(offset / divisor));
  }
  columns.clamp = {static_cast<float>(static_cast<double>(w.clamp.low) / divisor),
                   static_cast<float>(static_cast<double>(w.clamp.high) / divisor)};
  return columns;
}

std::unique_ptr<Product> MakeProduct(const ProductWeights& weights, const CpuFlags& flags) {
  if (weights.input) return std::make_unique<Int8Product>(weights, flags);
  return std::make_unique<FloatProduct>(weights, flags);
}

}  // namespace strop::engine
