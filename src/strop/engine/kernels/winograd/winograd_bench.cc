// Each kernel on one thread over the layers of ResNet, beside the product alone that patches of the same
// image would need; every answer is checked. %direct is the time such a product takes at peak, as a share.
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/kernels/gemm/gemm.h"
#include "strop/engine/kernels/roofline/roofline.h"
#include "strop/engine/kernels/winograd/winograd.h"

namespace strop::engine {
namespace {

struct Layer {
  int64_t batch, size, channels;
};
constexpr Layer kLayers[] = {{1, 56, 64}, {1, 28, 128}, {1, 14, 256}, {1, 7, 512},
                             {8, 56, 64}, {8, 28, 128}, {8, 14, 256}, {8, 7, 512}};

std::vector<float> Random(int64_t size, uint32_t seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = uniform(generator);
  return values;
}

double Peak(Isa isa) {
  static double peaks[5] = {};
  double& peak = peaks[static_cast<int>(isa)];
  if (peak == 0) peak = MeasurePeakFlops(isa);
  return peak;
}

void Count(benchmark::State& state, const Layer& layer, Isa isa) {
  const double flops =
      18.0 * static_cast<double>(layer.batch * layer.size * layer.size * layer.channels * layer.channels);
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["%direct"] =
      benchmark::Counter(100 * flops / Peak(isa), benchmark::Counter::kIsIterationInvariantRate);
}

void OurWinograd(benchmark::State& state, const WinogradKernel& kernel, const Layer& layer) {
  if (kernel.isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  const WinogradShape shape{layer.batch, layer.size, layer.size, layer.channels, layer.channels, 1, 1, 1, 1};
  const int64_t c = layer.channels, floats = layer.batch * layer.size * layer.size * c;
  const std::vector<float> x = Random(floats, 1), w = Random(c * c * 9, 2);
  std::vector<float> y(x.size());
  const WinogradPlan plan = PlanWinograd(shape, kernel.tile, Limit(Cpu(), kernel.isa), 1);
  const WinogradWeights weights = PackWinograd(w.data(), c, c, kernel.tile, plan.gemm->tile.nr);
  const Tensor scratch = Tensor::New(DType::kF32, {plan.scratch_floats});
  WinogradArgs args;
  args.x = x.data();
  args.weights = &weights;
  args.y = y.data();
  args.ldx = args.ldy = c;
  for (auto _ : state) {
    for (int64_t block = 0; block < plan.blocks; ++block)
      RunWinogradBlock(plan, args, block, scratch.As<float>().data());
    benchmark::ClobberMemory();
  }
  std::mt19937 generator(3);
  for (int sample = 0; sample < 100; ++sample) {
    const auto at = static_cast<int64_t>(generator()) % floats;
    const int64_t channel = at % c, column = at / c % layer.size, row = at / c / layer.size % layer.size;
    double sum = 0;
    for (int64_t tap = 0; tap < 9; ++tap) {
      const int64_t i = row + tap / 3 - 1, j = column + tap % 3 - 1;
      if (i < 0 || i >= layer.size || j < 0 || j >= layer.size) continue;
      const int64_t pixel = (at / c / layer.size / layer.size * layer.size + i) * layer.size + j;
      for (int64_t k = 0; k < c; ++k)
        sum += static_cast<double>(x[static_cast<size_t>(pixel * c + k)]) *
               static_cast<double>(w[static_cast<size_t>((channel * c + k) * 9 + tap)]);
    }
    if (!(std::abs(sum - static_cast<double>(y[static_cast<size_t>(at)])) < 1e-2)) {
      state.SkipWithError("wrong answer");
      return;
    }
  }
  Count(state, layer, kernel.isa);
}

void ProductOfPatches(benchmark::State& state, Isa isa, const Layer& layer) {
  if (isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  const int64_t m = layer.batch * layer.size * layer.size, n = layer.channels, k = 9 * n;
  const std::vector<float> a = Random(m * k, 1), b = Random(k * n, 2);
  std::vector<float> c(static_cast<size_t>(m * n));
  const GemmKernel& kernel = PickGemm({m, n, k}, Limit(Cpu(), isa));
  const PackedWeights packed = PackWeights(b.data(), n, k, false, 1, kernel.tile.nr);
  GemmArgs args;
  args.m = m;
  args.n = args.ldc = n;
  args.k = args.lda = k;
  args.a = a.data();
  args.b = packed.panels.As<float>().data();
  args.c = c.data();
  for (auto _ : state) {
    kernel.run(args);
    benchmark::ClobberMemory();
  }
  Count(state, layer, isa);
}

const bool kRegistered = [] {
  for (const Layer& layer : kLayers) {
    const std::string at = "/" + std::to_string(layer.batch) + "x" + std::to_string(layer.size) + "x" +
                           std::to_string(layer.size) + "x" + std::to_string(layer.channels);
    for (const WinogradKernel& kernel : WinogradKernels()) {
      if (kernel.isa == Isa::kScalar) continue;  // minutes
      benchmark::RegisterBenchmark((std::string(kernel.name) + at).c_str(), OurWinograd, kernel, layer);
    }
    for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
      const std::string name = "winograd_direct_" + std::string(IsaName(isa)) + at;
      benchmark::RegisterBenchmark(name.c_str(), ProductOfPatches, isa, layer);
    }
  }
  return true;
}();

}  // namespace
}  // namespace strop::engine
