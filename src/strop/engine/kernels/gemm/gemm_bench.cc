// Each registered kernel on one thread beside Eigen's, as a share of the measured peak; every answer is
// checked.
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <Eigen/Core>

#include "strop/engine/kernels/gemm/gemm.h"
#include "strop/engine/kernels/roofline/roofline.h"

namespace strop::engine {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Few rows; dense layers; MiniLM's; convolutions of a ResNet by patches.
constexpr GemmShape kShapes[] = {{1, 1024, 1024}, {2, 1024, 1024},  {3, 1024, 1024},  {4, 1024, 1024},
                                 {16, 128, 784},  {256, 10, 128},   {256, 128, 3136}, {512, 1024, 1024},
                                 {128, 384, 384}, {128, 1536, 384}, {128, 384, 1536}, {1024, 384, 384},
                                 {3136, 64, 576}, {784, 128, 1152}, {196, 256, 2304}, {49, 512, 4608}};

Matrix Random(int64_t rows, int64_t columns, uint32_t seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  return Matrix::NullaryExpr(rows, columns, [&] { return uniform(generator); });
}

double Peak(Isa isa) {
  static double peaks[5] = {};
  double& peak = peaks[static_cast<int>(isa)];
  if (peak == 0) peak = MeasurePeakFlops(isa);
  return peak;
}

template <class Run>
void Measure(benchmark::State& state, const GemmShape& shape, Isa isa, Run run) {
  const Matrix a = Random(shape.m, shape.k, 1), b = Random(shape.k, shape.n, 2);
  Matrix c(shape.m, shape.n);
  run(a, b, c, state);
  const double error = (c.cast<double>() - a.cast<double>() * b.cast<double>()).cwiseAbs().maxCoeff();
  if (!(error < 1e-5 * static_cast<double>(shape.k))) {
    state.SkipWithError(("wrong answer: off by " + std::to_string(error)).c_str());
    return;
  }
  const double flops = 2.0 * static_cast<double>(shape.m * shape.n * shape.k);
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  // A rate divided by a constant: 100 × flops / peak a second is the percentage of peak.
  state.counters["%peak"] =
      benchmark::Counter(100 * flops / Peak(isa), benchmark::Counter::kIsIterationInvariantRate);
}

void OurGemm(benchmark::State& state, const GemmKernel& kernel, const GemmShape& shape) {
  if (!Runs(kernel, Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  Measure(state, shape, kernel.isa, [&](const Matrix& a, const Matrix& b, Matrix& c, benchmark::State& loop) {
    const PackedWeights packed = PackWeights(b.data(), shape.n, shape.k, false, 1, kernel.tile.nr);
    const GemmArgs args{shape.m,  shape.n,  shape.k,
                        a.data(), shape.k,  static_cast<const float*>(packed.panels.data()),
                        nullptr,  c.data(), shape.n};
    for (auto _ : loop) {
      kernel.run(args);
      benchmark::ClobberMemory();
    }
  });
}

void EigenGemm(benchmark::State& state, const GemmShape& shape) {
  Measure(state, shape, HighestIsa(Cpu()),
          [](const Matrix& a, const Matrix& b, Matrix& c, benchmark::State& loop) {
            for (auto _ : loop) {
              c.noalias() = a * b;
              benchmark::ClobberMemory();
            }
          });
}

// A product of attention: k x n from [k, n] and, transposed, from [n, k].
void Pack(benchmark::State& state) {
  const int64_t k = state.range(0), n = state.range(1);
  const bool transposed = state.range(2) != 0;
  const Matrix b = Random(transposed ? n : k, transposed ? k : n, 1);
  const Tensor out = Tensor::New(DType::kF32, {(n + 31) / 32, k, 32});
  for (auto _ : state) {
    PackPanels(b.data(), b.cols(), n, k, transposed, 32, static_cast<float*>(out.data()));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(Pack)
    ->ArgNames({"k", "n", "transposed"})
    ->ArgsProduct({{32}, {128}, {0, 1}})
    ->ArgsProduct({{128}, {32}, {0, 1}});

const bool kRegistered = [] {
  for (const GemmShape& shape : kShapes) {
    const std::string at =
        "/" + std::to_string(shape.m) + "x" + std::to_string(shape.n) + "x" + std::to_string(shape.k);
    for (const GemmKernel& kernel : GemmKernels()) {
      benchmark::RegisterBenchmark((std::string(kernel.name) + at).c_str(), OurGemm, kernel, shape);
    }
    benchmark::RegisterBenchmark(("eigen" + at).c_str(), EigenGemm, shape);
  }
  return true;
}();

}  // namespace
}  // namespace strop::engine
