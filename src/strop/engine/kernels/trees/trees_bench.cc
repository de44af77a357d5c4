// Each registered kernel on one thread, for trees of a gradient-boosted model: nanoseconds a pair of a tree
// and a row. The inputs of a run are others than those before, as branches that are learnt by heart tell
// nothing.
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/kernels/trees/test_trees.h"
#include "strop/engine/kernels/trees/trees.h"

namespace strop::engine {
namespace {

constexpr int64_t kFeatures = 30, kInputs = 64;

void Walk(benchmark::State& state, const TreeKernel& kernel, int trees, int depth, int64_t rows) {
  if (!Runs(kernel, Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  Rng rng(1, 0);
  const auto packed = PackTrees(RandomTrees(rng, trees, depth, kFeatures));
  const std::vector<float> x = RandomRows(rng, kInputs * rows * kFeatures);
  std::vector<int32_t> leaves(static_cast<size_t>(trees * rows));
  int64_t input = 0;
  for (auto unused : state) {
    kernel.run({x.data() + input * rows * kFeatures, rows, kFeatures, packed->nodes.data(),
                packed->roots.data(), trees, leaves.data()});
    benchmark::ClobberMemory();
    input = (input + 1) % kInputs;
  }
  state.counters["ns/pair"] =
      benchmark::Counter(1e-9 * trees * static_cast<double>(rows),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const TreeKernel& kernel : TreeKernels())
    for (const auto& [trees, depth] : {std::pair(100, 6), std::pair(500, 6), std::pair(100, 12)})
      for (const int64_t rows : {1, 8, 64})
        benchmark::RegisterBenchmark((std::string(kernel.name) + "/" + std::to_string(trees) + "x" +
                                      std::to_string(depth) + "/rows:" + std::to_string(rows))
                                         .c_str(),
                                     [&kernel, trees = trees, depth = depth, rows](benchmark::State& state) {
                                       Walk(state, kernel, trees, depth, rows);
                                     });
  return true;
}();

}  // namespace
}  // namespace strop::engine
