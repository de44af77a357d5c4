#include "strop/engine/layers/depthwise.h"

namespace strop::engine {

Depthwise::Depthwise(const model::Graph& graph, const ConvLayer& layer, const CpuFlags& flags)
    : n_(layer.n), clamp_(layer.clamp), integers_(layer.integers) {
  const Tensor& weights = graph.initializers.at(layer.weight);
  const Tensor bias = Constant(graph, layer.bias);
  if (layer.integers) {
    const Int8DepthwiseKernel& kernel = PickInt8Depthwise(flags);
    const Tensor centred = AsInt8(weights);
    packed_ = PackInt8Depthwise(centred.As<int8_t>().data(), layer.n, layer.kernel_h, layer.kernel_w, kernel);
    ProductWeights columns;
    columns.n = layer.n;
    columns.bias = bias;
    columns.clamp = layer.clamp;
    SetIntegers(columns, graph, *layer.integers);
    columns_ = MakeInt8Columns(columns, packed_.sums);
    int8_ = kernel.run;
    kernel_ = kernel.name;
    isa_ = kernel.isa;
  } else {
    const DepthwiseKernel& kernel = PickDepthwise(flags);
    weights_ = PackDepthwise(weights.As<float>().data(), layer.n, layer.kernel_h, layer.kernel_w);
    if (bias) bias_ = bias.Clone();
    float_ = kernel.run;
    kernel_ = kernel.name;
    isa_ = kernel.isa;
  }
}

void Depthwise::Rows(const Window& window, const void* image, int64_t first, int64_t count,
                     void* to) const noexcept {
  if (integers_) return Int8Rows(window, image, first, count, to);
  DepthwiseArgs args;
  args.window = window;
  args.channels = args.in_pixel = args.out_pixel = n_;
  args.in = static_cast<const float*>(image);
  args.weights = static_cast<const float*>(weights_.data());
  args.bias = bias_ ? static_cast<const float*>(bias_.data()) : nullptr;
  args.low = clamp_.low;
  args.high = clamp_.high;
  args.out = static_cast<float*>(to) - first * window.out_w * n_;
  args.row0 = first;
  args.row1 = first + count;
  float_(args);
}

void Depthwise::Int8Rows(const Window& window, const void* image, int64_t first, int64_t count,
                         void* to) const noexcept {
  const int64_t size = integers_->output ? 1 : static_cast<int64_t>(sizeof(float));
  Int8DepthwiseArgs args;
  args.window = window;
  args.channels = args.in_pixel = args.out_pixel = n_;
  args.in = static_cast<const uint8_t*>(image);
  args.is_signed = integers_->input.dtype == DType::kI8;
  args.in_zero = integers_->input.zero;
  args.weights = static_cast<const int8_t*>(packed_.weights.data());
  args.sums = packed_.sums.data();
  args.scale = columns_.scale.data();
  args.offset = columns_.offset.data();
  args.low = columns_.clamp.low;
  args.high = columns_.clamp.high;
  args.zero = integers_->output ? integers_->output->zero : 0;
  args.output = OutputOf(integers_->output);
  args.out = static_cast<char*>(to) - first * window.out_w * n_ * size;
  args.row0 = first;
  args.row1 = first + count;
  int8_(args);
}

}  // namespace strop::engine
