#include <cmath>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/base/rng.h"
#include "strop/tune/gp/gp_sampler.h"

namespace strop::tune {
namespace {

// One suggestion, refit included, after range(0) finished trials of ten numbers.
void BM_GpSuggestion(benchmark::State& state) {
  std::vector<Parameter> parameters;
  for (char c = 'a'; c < 'k'; ++c) parameters.push_back({std::string(1, c), FloatRange{0, 1}, {}});
  const Space space(parameters);
  std::vector<Observation> finished;
  for (int64_t trial = 0; trial < state.range(0); ++trial) {
    const Params params = AskSobol({space, {}, {}, 1, trial}).params;
    double value = 0;
    for (const auto& [name, x] : params) value += std::sin(5 * std::get<double>(x)) * (name[0] - 'a' + 1);
    finished.push_back(Observation::Of(space, trial, params, {value}));
  }
  const gp::GpSampler sampler;
  int64_t trial = state.range(0);
  for ([[maybe_unused]] auto _ : state) {
    const Params params = sampler.Ask({space, finished, {}, 1, trial++}).params;
    space.Check(params);
    benchmark::DoNotOptimize(params);
  }
}
BENCHMARK(BM_GpSuggestion)->Arg(20)->Arg(100)->Arg(500)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace strop::tune
