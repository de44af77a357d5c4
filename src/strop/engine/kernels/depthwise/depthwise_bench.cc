// Each registered kernel on one thread over MobileNetV2's layers: float32, and bytes to bytes.
#include <algorithm>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/kernels/depthwise/depthwise.h"

namespace strop::engine {
namespace {

struct Layer {
  int64_t size, channels, kernel, stride;
};
constexpr Layer kLayers[] = {{112, 32, 3, 1}, {112, 96, 3, 2}, {56, 144, 3, 1},
                             {56, 144, 3, 2}, {28, 192, 3, 1}, {14, 576, 3, 1},
                             {14, 576, 3, 2}, {7, 960, 3, 1},  {14, 480, 5, 1}};

std::string At(const Layer& l) {
  return "/" + std::to_string(l.size) + "x" + std::to_string(l.channels) + "_k" + std::to_string(l.kernel) +
         "s" + std::to_string(l.stride);
}

Window WindowOf(const Layer& l) {
  Window w;
  w.height = w.width = l.size;
  w.kernel_h = w.kernel_w = l.kernel;
  w.stride_h = w.stride_w = l.stride;
  w.pad_top = w.pad_left = l.kernel / 2;
  w.out_h = w.out_w = (l.size + 2 * (l.kernel / 2) - l.kernel) / l.stride + 1;
  return w;
}

void CountRate(benchmark::State& state, const Layer& l, const Window& w) {
  const double products = static_cast<double>(w.out_h * w.out_w * l.channels * l.kernel * l.kernel);
  state.counters["GMAC/s"] =
      benchmark::Counter(products * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void Float(benchmark::State& state, const DepthwiseKernel& kernel, const Layer& l) {
  if (kernel.isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  const Window w = WindowOf(l);
  const std::vector<float> weights(static_cast<size_t>(l.channels * l.kernel * l.kernel), 0.5f),
      bias(static_cast<size_t>(l.channels), 0.25f);
  const Tensor image = Tensor::New(DType::kF32, {l.size, l.size, l.channels});
  const Tensor answer = Tensor::New(DType::kF32, {w.out_h, w.out_w, l.channels});
  const auto in = image.As<float>(), out = answer.As<float>();
  std::fill(in.begin(), in.end(), 1.0f);
  const Tensor packed = PackDepthwise(weights.data(), l.channels, l.kernel, l.kernel);
  DepthwiseArgs args;
  args.window = w;
  args.channels = args.in_pixel = args.out_pixel = l.channels;
  args.in = in.data();
  args.weights = packed.As<float>().data();
  args.bias = bias.data();
  args.low = 0;
  args.high = 6;
  args.out = out.data();
  args.row1 = w.out_h;
  for (auto _ : state) {
    kernel.run(args);
    benchmark::ClobberMemory();
  }
  CountRate(state, l, w);
  if (out[static_cast<size_t>((w.out_w + 1) * l.channels)] != (l.kernel == 3 ? 4.75f : 6.0f))
    state.SkipWithError("wrong answer");
}

void Int8(benchmark::State& state, const Int8DepthwiseKernel& kernel, const Layer& l) {
  if (kernel.isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  const Window w = WindowOf(l);
  const std::vector<int8_t> weights(static_cast<size_t>(l.channels * l.kernel * l.kernel), 2);
  const Tensor image = Tensor::New(DType::kU8, {l.size, l.size, l.channels});
  const Tensor answer = Tensor::New(DType::kU8, {w.out_h, w.out_w, l.channels});
  const auto in = image.As<uint8_t>(), out = answer.As<uint8_t>();
  std::fill(in.begin(), in.end(), uint8_t{11});
  const std::vector<float> scale(static_cast<size_t>(l.channels), 0.25f),
      offset(static_cast<size_t>(l.channels), 1);
  const PackedInt8Depthwise packed =
      PackInt8Depthwise(weights.data(), l.channels, l.kernel, l.kernel, kernel);
  Int8DepthwiseArgs args;
  args.window = w;
  args.channels = args.in_pixel = args.out_pixel = l.channels;
  args.in = in.data();
  args.in_zero = 1;
  args.weights = packed.weights.As<int8_t>().data();
  args.sums = packed.sums.data();
  args.scale = scale.data();
  args.offset = offset.data();
  args.low = 0;
  args.output = Int8Output::kU8;
  args.out = out.data();
  args.row1 = w.out_h;
  for (auto _ : state) {
    kernel.run(args);
    benchmark::ClobberMemory();
  }
  CountRate(state, l, w);
  // 9 · 10 · 2 / 4 + 1, and the same of the 16 taps of 5 × 5 that are inside at [1, 1].
  if (out[static_cast<size_t>((w.out_w + 1) * l.channels)] != (l.kernel == 3 ? 46 : 81))
    state.SkipWithError("wrong answer");
}

const bool kRegistered = [] {
  for (const Layer& layer : kLayers) {
    for (const DepthwiseKernel& kernel : DepthwiseKernels())
      benchmark::RegisterBenchmark((std::string(kernel.name) + At(layer)).c_str(), Float, kernel, layer);
    for (const Int8DepthwiseKernel& kernel : Int8DepthwiseKernels())
      benchmark::RegisterBenchmark((std::string(kernel.name) + At(layer)).c_str(), Int8, kernel, layer);
  }
  return true;
}();

}  // namespace
}  // namespace strop::engine
