#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/session.h"
#include "strop/engine/test_graphs.h"

namespace strop::engine {
namespace {

// x [1, 16] through so many products with a Tanh behind each.
model::Graph Layers(int64_t count) {
  model::Graph graph;
  graph.name = "layers";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"v0", DType::kF32, {-1, 16}, {"batch", ""}}};
  for (int64_t i = 0; i < count; ++i) {
    const std::string at = std::to_string(i), next = std::to_string(i + 1);
    graph.initializers["w" + at] = RandomF32({16, 16}, static_cast<uint64_t>(i));
    graph.nodes.push_back(MakeNode("MatMul", "matmul" + at, {"v" + at, "w" + at}, {"p" + next}));
    graph.nodes.push_back(MakeNode("Tanh", "tanh" + at, {"p" + next}, {"v" + next}));
  }
  graph.outputs = {{"v" + std::to_string(count), DType::kF32, {-1, 16}, {"batch", ""}}};
  return graph;
}

// What a run takes besides its steps, of which MiniLM has 45; so many batches, from one on, take turns.
void Overhead(benchmark::State& state) {
  SessionOptions options;
  options.threads = static_cast<int>(state.range(1));
  options.prefer = "strop";
  const auto session = Session::Make(Layers(state.range(0)), options);
  std::vector<TensorMap> inputs;
  for (int64_t batch = 1; batch <= state.range(2); ++batch)
    inputs.push_back({{"v0", RandomF32({batch, 16}, 1)}});
  const auto inside = [&] {
    double seconds = 0;
    for (const LayerProfile& layer : session->profile()) seconds += layer.seconds;
    return seconds;
  };
  for (const TensorMap& each : inputs) session->Run(each);
  size_t next = 0;
  const double before = inside();
  const auto begin = std::chrono::steady_clock::now();
  for (auto _ : state) benchmark::DoNotOptimize(session->Run(inputs[next++ % inputs.size()]));
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  state.counters["overhead_us"] =
      (whole - (inside() - before)) / static_cast<double>(state.iterations()) * 1e6;
}
BENCHMARK(Overhead)
    ->ArgNames({"steps", "threads", "batches"})
    ->Args({1, 1, 1})
    ->Args({45, 1, 1})
    ->Args({45, 2, 1})
    ->Args({45, 1, 40})
    ->Args({45, 1, 100})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace strop::engine
