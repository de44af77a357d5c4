// What a job of two empty parts costs on two threads, its workers asleep or, within a Busy scope, spinning.
#include <atomic>
#include <memory>

#include <benchmark/benchmark.h>

#include "strop/engine/pool.h"

namespace strop::engine {
namespace {

void EmptyJob(benchmark::State& state) {
  ThreadPool pool(2);
  std::unique_ptr<ThreadPool::Busy> busy;
  if (state.range(0) != 0) busy = std::make_unique<ThreadPool::Busy>(pool);
  std::atomic<int64_t> ended{0};
  for (auto _ : state) pool.Run(2, [&](int64_t) { ended.fetch_add(1, std::memory_order_relaxed); });
  if (ended != 2 * state.iterations()) state.SkipWithError("a part was lost or repeated");
}
BENCHMARK(EmptyJob)->ArgName("busy")->Arg(0)->Arg(1)->UseRealTime();

// Both parts wait for each other, as those of a layer in effect do: the worker must have come.
void MeetingJob(benchmark::State& state) {
  ThreadPool pool(2);
  std::unique_ptr<ThreadPool::Busy> busy;
  if (state.range(0) != 0) busy = std::make_unique<ThreadPool::Busy>(pool);
  std::atomic<int64_t> come{0};
  int64_t wanted = 0;
  for (auto _ : state) {
    wanted += 2;
    pool.Run(2, [&](int64_t) {
      come.fetch_add(1);
      while (come.load() < wanted) continue;
    });
  }
}
BENCHMARK(MeetingJob)->ArgName("busy")->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
}  // namespace strop::engine
