// Each registered kernel on one thread, from u8 to u8, beside the f32 GEMM of the same shape.
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/kernels/gemm/gemm.h"
#include "strop/engine/kernels/int8_gemm/int8_gemm.h"

namespace strop::engine {
namespace {

constexpr GemmShape kShapes[] = {{1, 1024, 1024},   {128, 384, 384}, {128, 1536, 384}, {128, 384, 1536},
                                 {512, 1024, 1024}, {3136, 64, 576}, {784, 128, 1152}, {196, 256, 2304},
                                 {49, 512, 4608},   {12544, 96, 16}, {3136, 24, 144},  {784, 192, 32},
                                 {196, 96, 576},    {49, 320, 960}};

std::string At(const GemmShape& shape) {
  return "/" + std::to_string(shape.m) + "x" + std::to_string(shape.n) + "x" + std::to_string(shape.k);
}

void CountRate(benchmark::State& state, const GemmShape& shape) {
  const double operations = 2.0 * static_cast<double>(shape.m * shape.n * shape.k);
  state.counters["GOP/s"] =
      benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

// Weights as training leaves them: normal, the largest of a column at 127.
std::vector<int8_t> Weights(const GemmShape& shape) {
  std::mt19937 generator(1);
  std::normal_distribution<double> normal(0, 38);
  std::vector<int8_t> weights(static_cast<size_t>(shape.n * shape.k));
  for (int8_t& weight : weights) weight = static_cast<int8_t>(std::clamp(normal(generator), -127.0, 127.0));
  return weights;
}

void Int8(benchmark::State& state, const Int8GemmKernel& kernel, const GemmShape& shape) {
  if (kernel.isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  const std::vector<int8_t> weights = Weights(shape);
  const PackedInt8Weights packed = PackInt8Weights(weights.data(), shape.n, shape.k, false, kernel);
  // Tensors, as a step has them: rows that lie across cache lines take tiles twice as long to load.
  const Tensor a = Tensor::New(DType::kU8, {shape.m, shape.k}),
               c = Tensor::New(DType::kU8, {shape.m, shape.n});
  uint8_t* const bytes = static_cast<uint8_t*>(a.data());
  for (int64_t i = 0; i < a.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37);
  const std::vector<float> scale(static_cast<size_t>(shape.n), 1e-3f),
      offset(static_cast<size_t>(shape.n), 1);
  Int8GemmArgs args;
  args.m = shape.m;
  args.n = args.ldc = shape.n;
  args.k = args.lda = shape.k;
  args.a = bytes;
  args.b = packed.panels.As<int8_t>().data();
  if (!packed.rest_begin.empty()) {
    args.rests = packed.rests.As<int8_t>().data();
    args.rest_row = packed.rest_row.data();
    args.rest_begin = packed.rest_begin.data();
  }
  args.scale = scale.data();
  args.offset = offset.data();
  args.output = Int8Output::kU8;
  args.c = c.data();
  for (auto _ : state) {
    kernel.run(args);
    benchmark::ClobberMemory();
  }
  CountRate(state, shape);
  // Vectors more than those of the weights.
  state.counters["rests%"] = 100.0 * static_cast<double>(packed.rest_row.size()) /
                             (static_cast<double>(weights.size()) / 4) *
                             static_cast<double>(kernel.rest_lanes);
}

void Float(benchmark::State& state, const GemmShape& shape) {
  const GemmKernel& kernel = PickGemm(shape, Cpu());
  const std::vector<float> b(static_cast<size_t>(shape.n * shape.k), 0.5f),
      a(static_cast<size_t>(shape.m * shape.k), 0.5f);
  std::vector<float> c(static_cast<size_t>(shape.m * shape.n));
  const PackedWeights packed = PackWeights(b.data(), shape.n, shape.k, false, 1, kernel.tile.nr);
  const GemmArgs args{shape.m, shape.n,  shape.k, a.data(), shape.k, packed.panels.As<float>().data(),
                      nullptr, c.data(), shape.n};
  for (auto _ : state) {
    kernel.run(args);
    benchmark::ClobberMemory();
  }
  CountRate(state, shape);
}

const bool kRegistered = [] {
  for (const GemmShape& shape : kShapes) {
    for (const Int8GemmKernel& kernel : Int8GemmKernels())
      if (kernel.tile.gemv == (shape.m == 1))
        benchmark::RegisterBenchmark((std::string(kernel.name) + At(shape)).c_str(), Int8, kernel, shape);
    benchmark::RegisterBenchmark(("f32" + At(shape)).c_str(), Float, shape);
  }
  return true;
}();

}  // namespace
}  // namespace strop::engine
