// Each registered kernel on one thread: images made channels-last, and channels-first.
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/kernels/transpose/transpose.h"

namespace strop::engine {
namespace {

struct Matrix {
  int64_t rows, columns, element;
};
constexpr Matrix kMatrices[] = {{64, 3136, 4}, {3136, 64, 4}, {1280, 49, 4},
                                {3, 50176, 4}, {64, 3136, 1}, {3136, 64, 1}};

void Run(benchmark::State& state, const TransposeKernel& kernel, const Matrix& m) {
  if (kernel.isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  const auto bytes = static_cast<size_t>(m.rows * m.columns * m.element);
  std::vector<uint8_t> in(bytes), out(bytes);
  for (size_t i = 0; i < bytes; ++i) in[i] = static_cast<uint8_t>(i * 37);
  const TransposeArgs args{m.rows, m.columns, m.element, in.data(), m.columns, out.data(), m.rows};
  for (auto _ : state) {
    kernel.run(args);
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] =
      benchmark::Counter(static_cast<double>(bytes) * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  if (out[static_cast<size_t>(m.rows * m.element)] != in[static_cast<size_t>(m.element)])
    state.SkipWithError("wrong answer");
}

const bool kRegistered = [] {
  for (const Matrix& m : kMatrices) {
    const std::string at =
        "/" + std::to_string(m.rows) + "x" + std::to_string(m.columns) + "_" + std::to_string(m.element);
    for (const TransposeKernel& kernel : TransposeKernels())
      benchmark::RegisterBenchmark((std::string(kernel.name) + at).c_str(), Run, kernel, m);
  }
  return true;
}();

}  // namespace
}  // namespace strop::engine
