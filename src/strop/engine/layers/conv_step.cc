#include <algorithm>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/kernels/depthwise/depthwise.h"
#include "strop/engine/kernels/patches/patches.h"
#include "strop/engine/layers/conv.h"
#include "strop/engine/layers/pixels.h"
#include "strop/engine/layers/product.h"
#include "strop/engine/step.h"
#include "strop/model/dims.h"

namespace strop::engine {
namespace {

constexpr int64_t kManyRows = 64;           // what plan() names: the kernel of many pixels
constexpr int64_t kBlockBytes = 1 << 19;    // of patches, and of products, that lie in L2
constexpr int64_t kFewestRows = 64;         // of a block: fewer make a product wait for its weights
constexpr int64_t kWorthAThread = 1 << 16;  // multiply-adds of a depthwise convolution

int64_t Aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

Tensor Constant(const model::Graph& graph, const std::string& name) {
  return name.empty() ? Tensor() : graph.initializers.at(name);
}

// What both kinds share: sizes, the window, memory, the end.
class ConvStep : public Step {
 public:
  ConvStep(const LayerBuild& build, const ConvLayer& layer)
      : layer_(layer),
        flags_(Limit(Cpu(), build.isa)),
        input_(layer.integers ? 1 : static_cast<int64_t>(sizeof(float))),
        dtype_(layer.integers && layer.integers->output ? layer.integers->output->dtype : DType::kF32),
        plain_(build.inputs[0] == Order::kPlain),
        pixels_(flags_),
        end_(build, layer.chain, dtype_),
        pool_(build.pool) {
    inputs = {layer.input};
    for (size_t i = 1; layer.chain && i < layer.chain->inputs.size(); ++i)
      inputs.push_back(layer.chain->inputs[i].value);
    outputs = {layer.output};
    Describe(plan, build.graph, layer.nodes, layer.conv);
    plan.sparsity = ShareOfZeros({&build.graph.initializers.at(layer.weight), 1});
    if (layer.integers) plan.bits = 8;
  }

  std::unique_ptr<State> NewState() override { return std::make_unique<Memory>(); }

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    auto& memory = static_cast<Memory&>(state);
    Slide(memory, in[0].shape());
    const Shape& shape = in[0].shape();
    const bool fits = out[0] && out[0].shape()[0] == shape[0] && out[0].shape()[2] == memory.window.out_h &&
                      out[0].shape()[3] == memory.window.out_w;
    if (!fits)
      out[0] = Tensor::New(end_.dtype(), {shape[0], layer_.n, memory.window.out_h, memory.window.out_w});
    Compute(memory, in, out[0]);
  }

 protected:
  struct Memory : State {
    Window window;  // of images of window.height × window.width
    Tensor bytes;
    std::byte* Bytes(int64_t wanted) {
      if (!bytes || static_cast<int64_t>(bytes.bytes()) < wanted) bytes = Tensor::New(DType::kU8, {wanted});
      return static_cast<std::byte*>(bytes.data());
    }
  };

  virtual void Compute(Memory& memory, std::span<const Tensor> in, const Tensor& out) const = 0;

  const ConvLayer layer_;
  const CpuFlags flags_;
  const int64_t input_;  // bytes of an element
  const DType dtype_;    // of the products
  const bool plain_;     // the input
  const Pixels pixels_;
  const PixelEnd end_;
  ThreadPool& pool_;

 private:
  void Slide(Memory& memory, const Shape& shape) const {
    if (shape.size() != 4 || shape[1] != layer_.channels)
      throw Error(Code::kInvalidArgument,
                  fmt::format("node {} ({}): its input is {}, expected {} channels", plan.layer, plan.op,
                              ShapeText(shape), layer_.channels));
    Window& window = memory.window;
    if (window.height == shape[2] && window.width == shape[3]) return;
    const model::Window slid =
        model::SlideWindow(layer_.window, {shape[2], shape[3]}, {layer_.kernel_h, layer_.kernel_w});
    window = {shape[2],           shape[3],           layer_.kernel_h,   layer_.kernel_w,
              slid.strides[0],    slid.strides[1],    slid.dilations[0], slid.dilations[1],
              slid.pads_begin[0], slid.pads_begin[1], slid.output[0],    slid.output[1]};
  }
};

// A product of patches, or of the pixels themselves where the kernel is a point.
class PatchesStep : public ConvStep {
 public:
  PatchesStep(const LayerBuild& build, const ConvLayer& layer)
      : ConvStep(build, layer),
        depth_(layer.channels * layer.kernel_h * layer.kernel_w),
        patches_(PickPatches(flags_)),
        product_(MakeProduct(Weights(build.graph), flags_)) {
    plan.kernel = product_->Kernel(kManyRows);
    plan.isa = IsaName(product_->isa());
  }

 private:
  // [n, channels, height, width] as [n, height, width, channels].
  static Tensor Rearranged(const Tensor& weights) {
    const Shape& s = weights.shape();
    const auto size = static_cast<int64_t>(SizeOf(weights.dtype()));
    const Tensor out = Tensor::New(weights.dtype(), {s[0], s[2], s[3], s[1]});
    const auto* from = static_cast<const char*>(weights.data());
    auto* to = static_cast<char*>(out.data());
    const int64_t taps = s[2] * s[3];
    for (int64_t i = 0; i < s[0]; ++i)
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t c = 0; c < s[1]; ++c, to += size)
          std::memcpy(to, from + ((i * s[1] + c) * taps + tap) * size, static_cast<size_t>(size));
    return out;
  }

  ProductWeights Weights(const model::Graph& graph) const {
    ProductWeights weights;
    weights.n = layer_.n;
    weights.k = depth_;
    weights.weights = Rearranged(graph.initializers.at(layer_.weight));
    weights.transposed = true;
    weights.bias = Constant(graph, layer_.bias);
    weights.clamp = layer_.clamp;
    if (!layer_.integers) return weights;
    weights.input = layer_.integers->input;
    weights.output = layer_.integers->output;
    weights.weight_scale = Constant(graph, layer_.integers->weight_scale);
    weights.bias_scale = Constant(graph, layer_.integers->bias_scale);
    return weights;
  }

  // One run.
  struct Job {
    const Window& window;
    std::span<const Tensor> in;
    const Tensor& out;
    int64_t m;         // output pixels of all images
    int64_t rows;      // of a block
    bool point;        // the rows of the product are those of the image
    std::byte* bytes;  // each part's
    int64_t a_bytes, c_bytes, part_bytes;
  };

  int64_t RowsOfBlock(int64_t m) const noexcept {
    const int64_t unit = product_->Tiling(kManyRows).mr;
    const int64_t widest = std::max(depth_ * input_, layer_.n * static_cast<int64_t>(sizeof(float)));
    const int64_t rows = std::max(kFewestRows, kBlockBytes / widest) / unit * unit;
    return std::min(std::max(rows, unit), m);
  }

  void Compute(Memory& memory, std::span<const Tensor> in, const Tensor& out) const override {
    const Window& w = memory.window;
    const int64_t m = in[0].shape()[0] * w.out_h * w.out_w;
    const GemmGrid grid = SplitGemm({m, layer_.n, depth_}, product_->Tiling(m), pool_.threads());
    const int64_t parts = grid.rows * grid.columns;
    const bool point = w.kernel_h == 1 && w.kernel_w == 1 && w.out_h == w.height && w.out_w == w.width &&
                       w.pad_top == 0 && w.pad_left == 0 && w.stride_h == 1 && w.stride_w == 1;
    // Few pixels by many weights: each thread takes its own of the weights.
    const bool by_columns = parts > 1 && 2 * m <= layer_.n;
    Job job{w, in, out, m, by_columns ? m : RowsOfBlock(m), point, nullptr, 0, 0, 0};
    job.a_bytes = point && !plain_ ? 0 : Aligned(job.rows * depth_ * input_);
    job.c_bytes = end_.straight() ? 0 : Aligned(job.rows * layer_.n * static_cast<int64_t>(SizeOf(dtype_)));
    job.part_bytes =
        job.a_bytes + job.c_bytes + Aligned(static_cast<int64_t>(end_.ScratchBytes(job.rows, layer_.n)));
    job.bytes = memory.Bytes(job.part_bytes * (by_columns ? 1 : parts) + 64);
    if (by_columns) return ByColumns(job, parts);
    pool_.Run(parts, [&](int64_t part) {
      const int64_t unit = product_->Tiling(m).mr, tiles = (m + unit - 1) / unit;
      const int64_t begin = std::min(m, tiles * part / parts * unit),
                    end = std::min(m, tiles * (part + 1) / parts * unit);
      std::byte* const bytes = job.bytes + part * job.part_bytes;
      for (int64_t row = begin; row < end; row += job.rows) {
        const int64_t count = std::min(job.rows, end - row);
        const void* const a = Gathered(job, row, count, bytes);
        void* const c = end_.straight() ? Pixels::Row(out, row) : bytes + job.a_bytes;
        product_->Multiply(count, a, c, {}, 0);
        if (!end_.straight()) end_.Finish(c, row, count, in, out, bytes + job.a_bytes + job.c_bytes);
      }
    });
  }

  void ByColumns(const Job& job, int64_t parts) const {
    const void* a = job.a_bytes == 0 ? Gathered(job, 0, job.m, job.bytes) : job.bytes;
    if (job.a_bytes > 0) {
      pool_.Run(parts, [&](int64_t part) {
        const int64_t begin = job.m * part / parts, end = job.m * (part + 1) / parts;
        Gathered(job, begin, end - begin, job.bytes + begin * depth_ * input_);
      });
    }
    void* const c = end_.straight() ? job.out.data() : job.bytes + job.a_bytes;
    pool_.Run(parts, [&](int64_t part) { product_->Multiply(job.m, a, c, {1, parts}, part); });
    if (!end_.straight()) end_.Finish(c, 0, job.m, job.in, job.out, job.bytes + job.a_bytes + job.c_bytes);
  }

  // The rows of the product for pixels [begin, begin + count): in `rows`, or where they are.
  const void* Gathered(const Job& job, int64_t begin, int64_t count, void* rows) const noexcept {
    if (job.point && !plain_) return Pixels::Row(job.in[0], begin);
    if (job.point) {
      pixels_.Gather(job.in[0], begin, count, rows);
      return rows;
    }
    const int64_t pixels = job.window.out_h * job.window.out_w;
    const int64_t image = layer_.channels * job.window.height * job.window.width * input_;
    for (int64_t row = 0; row < count;) {
      const int64_t first = (begin + row) % pixels, some = std::min(count - row, pixels - first);
      PatchesArgs args;
      args.window = job.window;
      args.channels = args.in_pixel = layer_.channels;
      args.element = input_;
      args.channels_first = plain_;
      args.in = static_cast<const char*>(job.in[0].data()) + (begin + row) / pixels * image;
      args.pad = layer_.integers ? static_cast<uint8_t>(layer_.integers->input.zero) : 0;
      args.p0 = first;
      args.p1 = first + some;
      args.out = static_cast<char*>(rows) + row * depth_ * input_;
      args.out_row = depth_;
      patches_.run(args);
      row += some;
    }
    return rows;
  }

  const int64_t depth_;
  const PatchesKernel& patches_;
  const std::unique_ptr<Product> product_;
};

// Each channel by itself.
class DepthwiseStep : public ConvStep {
 public:
  DepthwiseStep(const LayerBuild& build, const ConvLayer& layer) : ConvStep(build, layer) {
    const Tensor& weights = build.graph.initializers.at(layer.weight);
    const Tensor bias = Constant(build.graph, layer.bias);
    if (layer.integers) {
      const Int8DepthwiseKernel& kernel = PickInt8Depthwise(flags_);
      const Tensor centred = AsInt8(weights);
      packed_ =
          PackInt8Depthwise(centred.As<int8_t>().data(), layer.n, layer.kernel_h, layer.kernel_w, kernel);
      ProductWeights columns;
      columns.n = layer.n;
      columns.input = layer.integers->input;
      columns.output = layer.integers->output;
      columns.bias = bias;
      columns.clamp = layer.clamp;
      columns.weight_scale = Constant(build.graph, layer.integers->weight_scale);
      columns.bias_scale = Constant(build.graph, layer.integers->bias_scale);
      columns_ = MakeInt8Columns(columns, packed_.sums);
      int8_ = kernel.run;
      plan.kernel = kernel.name;
      plan.isa = IsaName(kernel.isa);
    } else {
      const DepthwiseKernel& kernel = PickDepthwise(flags_);
      weights_ = PackDepthwise(weights.As<float>().data(), layer.n, layer.kernel_h, layer.kernel_w);
      if (bias) bias_ = bias.Clone();
      float_ = kernel.run;
      plan.kernel = kernel.name;
      plan.isa = IsaName(kernel.isa);
    }
  }

 private:
  void Compute(Memory& memory, std::span<const Tensor> in, const Tensor& out) const override {
    const Window& w = memory.window;
    const int64_t images = in[0].shape()[0], rows = images * w.out_h;
    const int64_t work = rows * w.out_w * layer_.n * w.kernel_h * w.kernel_w;
    const int64_t parts =
        std::clamp<int64_t>(work / kWorthAThread, 1, std::min<int64_t>(pool_.threads(), rows));
    const int64_t row_bytes = Aligned(w.out_w * layer_.n * static_cast<int64_t>(SizeOf(dtype_)));
    const int64_t some = std::max<int64_t>(1, std::min(w.out_h, kBlockBytes / row_bytes));  // rows of a block
    const int64_t image_bytes = plain_ ? Aligned(w.height * w.width * layer_.n * input_) : 0;
    const int64_t c_bytes = end_.straight() ? 0 : some * row_bytes;
    const int64_t part_bytes =
        image_bytes + c_bytes + Aligned(static_cast<int64_t>(end_.ScratchBytes(some * w.out_w, layer_.n)));
    std::byte* const all = memory.Bytes(part_bytes * parts + 64);
    pool_.Run(parts, [&](int64_t part) {
      std::byte* const bytes = all + part * part_bytes;
      int64_t gathered = -1;
      const int64_t end = rows * (part + 1) / parts;
      for (int64_t row = rows * part / parts; row < end;) {
        const int64_t image = row / w.out_h, first = row % w.out_h;
        int64_t count = std::min(end - row, w.out_h - first);
        if (!end_.straight()) count = std::min(count, some);
        const int64_t pixels = w.height * w.width, begin = row * w.out_w;
        const void* from = plain_ ? bytes : Pixels::Row(in[0], image * pixels);
        if (plain_ && gathered != image) pixels_.Gather(in[0], image * pixels, pixels, bytes);
        gathered = image;
        void* const c = end_.straight() ? Pixels::Row(out, begin) : bytes + image_bytes;
        RunRows(w, from, first, count, c);
        if (!end_.straight()) end_.Finish(c, begin, count * w.out_w, in, out, bytes + image_bytes + c_bytes);
        row += count;
      }
    });
  }

  // Rows of one image; `to` is the first.
  void RunRows(const Window& window, const void* image, int64_t first, int64_t count,
               void* to) const noexcept {
    const int64_t skipped = first * window.out_w * layer_.n;
    if (layer_.integers) {
      Int8DepthwiseArgs args;
      args.window = window;
      args.channels = args.in_pixel = args.out_pixel = layer_.n;
      args.in = static_cast<const uint8_t*>(image);
      args.is_signed = layer_.integers->input.dtype == DType::kI8;
      args.in_zero = layer_.integers->input.zero;
      args.weights = static_cast<const int8_t*>(packed_.weights.data());
      args.sums = packed_.sums.data();
      args.scale = columns_.scale.data();
      args.offset = columns_.offset.data();
      args.low = columns_.clamp.low;
      args.high = columns_.clamp.high;
      args.zero = layer_.integers->output ? layer_.integers->output->zero : 0;
      args.output = OutputOf(layer_.integers->output);
      args.out = static_cast<char*>(to) - skipped * static_cast<int64_t>(SizeOf(dtype_));
      args.row0 = first;
      args.row1 = first + count;
      return int8_(args);
    }
    DepthwiseArgs args;
    args.window = window;
    args.channels = args.in_pixel = args.out_pixel = layer_.n;
    args.in = static_cast<const float*>(image);
    args.weights = static_cast<const float*>(weights_.data());
    args.bias = bias_ ? static_cast<const float*>(bias_.data()) : nullptr;
    args.low = layer_.clamp.low;
    args.high = layer_.clamp.high;
    args.out = static_cast<float*>(to) - skipped;
    args.row0 = first;
    args.row1 = first + count;
    float_(args);
  }

  Tensor weights_, bias_;
  PackedInt8Depthwise packed_;
  Int8ColumnsOf columns_;
  DepthwiseFn float_ = nullptr;
  Int8DepthwiseFn int8_ = nullptr;
};

}  // namespace

std::unique_ptr<Step> MakeConvStep(const LayerBuild& build, const ConvLayer& layer) {
  if (layer.depthwise) return std::make_unique<DepthwiseStep>(build, layer);
  return std::make_unique<PatchesStep>(build, layer);
}

}  // namespace strop::engine
