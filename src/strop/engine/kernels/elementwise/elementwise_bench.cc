// Each table on one thread, over as many elements as L1 and L2 hold; every answer is
// checked.
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/kernels/elementwise/elementwise.h"

namespace strop::engine {
namespace {

constexpr int64_t kSizes[] = {3072, 98304};

std::vector<float> Random(int64_t size) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-4, 4);
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = uniform(generator);
  return values;
}

// run(x, y) of n elements an iteration, each y within a millionth of truth(x).
template <class Run, class Truth>
void Measure(benchmark::State& state, const ElementwiseKernels& kernels, int64_t n, Run run, Truth truth) {
  if (kernels.isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  const std::vector<float> x = Random(n);
  std::vector<float> y(x.size());
  for (auto _ : state) {
    run(x.data(), y.data());
    benchmark::ClobberMemory();
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const double wanted = truth(static_cast<double>(x[i]));
    if (!(std::abs(static_cast<double>(y[i]) - wanted) <= 1e-6 * std::max(1.0, std::abs(wanted)))) {
      state.SkipWithError("wrong answer");
      return;
    }
  }
  state.counters["ns/element"] = benchmark::Counter(
      static_cast<double>(n) * 1e-9,
      benchmark::Counter::Flags(benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert));
}

const bool kRegistered = [] {
  struct {
    UnaryOp op;
    const char* name;
    double (*truth)(double x);
  } static const kUnaries[] = {
      {UnaryOp::kErf, "erf", [](double x) { return std::erf(x); }},
      {UnaryOp::kTanh, "tanh", [](double x) { return std::tanh(x); }},
      {UnaryOp::kSigmoid, "sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
      {UnaryOp::kGelu, "gelu", [](double x) { return x / 2 * (1 + std::erf(x * std::sqrt(0.5))); }},
      {UnaryOp::kExp, "exp", [](double x) { return std::exp(x); }},
      {UnaryOp::kRelu, "relu", [](double x) { return x < 0 ? 0 : x; }},
  };
  for (const ElementwiseKernels& kernels : AllElementwiseKernels()) {
    for (const int64_t n : kSizes) {
      const auto name = [&](const char* what) {
        return std::string(kernels.name) + "/" + what + "/" + std::to_string(n);
      };
      for (const auto& unary : kUnaries) {
        benchmark::RegisterBenchmark(
            name(unary.name).c_str(), [&kernels, &unary, n](benchmark::State& state) {
              Measure(
                  state, kernels, n, [&](const float* x, float* y) { kernels.unary(unary.op, x, y, n); },
                  unary.truth);
            });
      }
      benchmark::RegisterBenchmark(name("add").c_str(), [&kernels, n](benchmark::State& state) {
        Measure(
            state, kernels, n, [&](const float* x, float* y) { kernels.binary(BinaryOp::kAdd, x, x, y, n); },
            [](double x) { return x + x; });
      });
      benchmark::RegisterBenchmark(name("quantize and back").c_str(), [&kernels, n](benchmark::State& state) {
        constexpr float kScale = 1.0f / 16;
        std::vector<uint8_t> q(static_cast<size_t>(n));
        Measure(
            state, kernels, n,
            [&](const float* x, float* y) {
              kernels.quantize(x, kScale, 128, false, q.data(), n);
              kernels.dequantize(q.data(), false, 128, kScale, y, n);
            },
            [](double x) { return std::nearbyint(x / kScale) * kScale; });
      });
    }
  }
  return true;
}();

}  // namespace
}  // namespace strop::engine
