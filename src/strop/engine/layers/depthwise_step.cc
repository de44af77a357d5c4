#include <algorithm>

#include "strop/engine/kernels/depthwise/depthwise.h"
#include "strop/engine/layers/conv_step.h"
#include "strop/engine/layers/product.h"

namespace strop::engine {
namespace {

constexpr int64_t kBlockBytes = 1 << 19;    // of answers that a chain takes from L2
constexpr int64_t kWorthAThread = 1 << 16;  // multiply-adds

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
      columns.bias = bias;
      columns.clamp = layer.clamp;
      SetIntegers(columns, build.graph, *layer.integers);
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
    const int64_t row_bytes = AlignedBytes(w.out_w * layer_.n * static_cast<int64_t>(SizeOf(dtype_)));
    const int64_t some = std::max<int64_t>(1, std::min(w.out_h, kBlockBytes / row_bytes));  // rows of a block
    const int64_t image_bytes = plain_ ? AlignedBytes(w.height * w.width * layer_.n * input_) : 0;
    const int64_t c_bytes = end_.straight() ? 0 : some * row_bytes;
    const int64_t part_bytes =
        image_bytes + c_bytes +
        AlignedBytes(static_cast<int64_t>(end_.ScratchBytes(some * w.out_w, layer_.n)));
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

std::unique_ptr<Step> MakeDepthwiseStep(const LayerBuild& build, const ConvLayer& layer) {
  return std::make_unique<DepthwiseStep>(build, layer);
}

}  // namespace strop::engine
