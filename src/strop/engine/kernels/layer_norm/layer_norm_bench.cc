// Each kernel on one thread, over the rows of a transformer; every answer is checked.
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/kernels/layer_norm/layer_norm.h"

namespace strop::engine {
namespace {

constexpr int64_t kRows = 128;
constexpr int64_t kSizes[] = {64, 312, 384, 768, 1024};

struct Form {
  const char* name;
  bool residual, root_mean_square;
};
constexpr Form kForms[] = {{"plain", false, false}, {"residual", true, false}, {"rms", false, true}};

void OurLayerNorm(benchmark::State& state, const LayerNormKernel& kernel, int64_t n, const Form& form) {
  if (kernel.isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 3);
  std::vector<float> x(static_cast<size_t>(kRows * n)), residual(x.size()), y(x.size());
  std::vector<float> gamma(static_cast<size_t>(n)), beta(gamma.size());
  for (std::vector<float>* values : {&x, &residual, &gamma, &beta})
    for (float& value : *values) value = uniform(generator);
  LayerNormArgs args;
  args.rows = kRows;
  args.n = args.ldx = args.ldy = args.ld_residual = n;
  args.x = x.data();
  if (form.residual) args.residual = residual.data();
  args.gamma = gamma.data();
  args.beta = beta.data();
  args.root_mean_square = form.root_mean_square;
  args.y = y.data();
  for (auto _ : state) {
    kernel.run(args);
    benchmark::ClobberMemory();
  }
  for (size_t row = 0; row < static_cast<size_t>(kRows); ++row) {
    const size_t begin = row * gamma.size();
    const auto value = [&](size_t i) {
      return static_cast<double>(x[begin + i]) +
             (form.residual ? static_cast<double>(residual[begin + i]) : 0);
    };
    double mean = 0, variance = 0;
    for (size_t i = 0; i < gamma.size() && !form.root_mean_square; ++i)
      mean += value(i) / static_cast<double>(n);
    for (size_t i = 0; i < gamma.size(); ++i)
      variance += (value(i) - mean) * (value(i) - mean) / static_cast<double>(n);
    for (size_t i = 0; i < gamma.size(); ++i) {
      const double normal = (value(i) - mean) / std::sqrt(variance + static_cast<double>(args.epsilon));
      const double wanted = normal * static_cast<double>(gamma[i]) + static_cast<double>(beta[i]);
      if (!(std::abs(static_cast<double>(y[begin + i]) - wanted) < 1e-5)) {
        state.SkipWithError("wrong answer");
        return;
      }
    }
  }
  state.counters["ns/element"] = benchmark::Counter(
      static_cast<double>(kRows * n) * 1e-9,
      benchmark::Counter::Flags(benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert));
}

const bool kRegistered = [] {
  for (const LayerNormKernel& kernel : LayerNormKernels()) {
    for (const int64_t n : kSizes) {
      for (const Form& form : kForms) {
        const std::string name = std::string(kernel.name) + "/" + std::to_string(n) + "/" + form.name;
        benchmark::RegisterBenchmark(name.c_str(), OurLayerNorm, kernel, n, form);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace strop::engine
