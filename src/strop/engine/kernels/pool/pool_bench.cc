// Each registered kernel on one thread: ResNet's first pooling, DenseNet's averages, and the last of
// MobileNetV2.
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/kernels/pool/pool.h"

namespace strop::engine {
namespace {

template <class Run>
void Measure(benchmark::State& state, const PoolKernel& kernel, double bytes, Run run) {
  if (kernel.isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

template <class T>
void Max(benchmark::State& state, const PoolKernel& kernel) {
  const std::vector<T> in(112 * 112 * 64, T{3});
  std::vector<T> out(56 * 56 * 64);
  MaxPoolArgs args;
  args.window = {.height = 112,
                 .width = 112,
                 .kernel_h = 3,
                 .kernel_w = 3,
                 .stride_h = 2,
                 .stride_w = 2,
                 .pad_top = 1,
                 .pad_left = 1,
                 .out_h = 56,
                 .out_w = 56};
  args.channels = args.in_pixel = args.out_pixel = 64;
  args.element = sizeof(T) == 4 ? PoolElement::kF32 : PoolElement::kU8;
  args.in = in.data();
  args.out = out.data();
  args.row1 = 56;
  Measure(state, kernel, static_cast<double>(in.size() * sizeof(T)), [&] { kernel.max(args); });
}

void Average(benchmark::State& state, const PoolKernel& kernel) {
  const std::vector<float> in(56 * 56 * 128, 3);
  std::vector<float> out(28 * 28 * 128);
  AveragePoolArgs args;
  args.window = {.height = 56,
                 .width = 56,
                 .kernel_h = 2,
                 .kernel_w = 2,
                 .stride_h = 2,
                 .stride_w = 2,
                 .out_h = 28,
                 .out_w = 28};
  args.channels = args.in_pixel = args.out_pixel = 128;
  args.in = in.data();
  args.out = out.data();
  args.row1 = 28;
  Measure(state, kernel, static_cast<double>(in.size() * sizeof(float)), [&] { kernel.average(args); });
}

template <class T>
void Global(benchmark::State& state, const PoolKernel& kernel) {
  const std::vector<T> in(49 * 1280, T{3});
  std::vector<float> out(1280);
  GlobalPoolArgs args;
  args.pixels = 49;
  args.channels = args.in_pixel = 1280;
  args.element = sizeof(T) == 4 ? PoolElement::kF32 : PoolElement::kU8;
  args.in = in.data();
  args.out = out.data();
  Measure(state, kernel, static_cast<double>(in.size() * sizeof(T)), [&] { kernel.global(args); });
}

const bool kRegistered = [] {
  for (const PoolKernel& kernel : PoolKernels()) {
    const std::string name(kernel.name);
    benchmark::RegisterBenchmark((name + "/max_f32_112x64_k3s2").c_str(), Max<float>, kernel);
    benchmark::RegisterBenchmark((name + "/max_u8_112x64_k3s2").c_str(), Max<uint8_t>, kernel);
    benchmark::RegisterBenchmark((name + "/average_f32_56x128_k2s2").c_str(), Average, kernel);
    benchmark::RegisterBenchmark((name + "/global_f32_7x1280").c_str(), Global<float>, kernel);
    benchmark::RegisterBenchmark((name + "/global_u8_7x1280").c_str(), Global<uint8_t>, kernel);
  }
  return true;
}();

}  // namespace
}  // namespace strop::engine
