// Each registered kernel on one thread, a block of pixels at a time into a scratch that stays in L2.
#include <algorithm>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/kernels/patches/patches.h"

namespace strop::engine {
namespace {

struct Layer {
  int64_t size, channels, kernel, stride, element;
  bool first;
};
constexpr Layer kLayers[] = {{56, 64, 3, 1, 4, false}, {14, 256, 3, 1, 4, false}, {56, 64, 3, 1, 1, false},
                             {224, 3, 7, 2, 4, true},  {224, 3, 3, 2, 1, true},   {224, 3, 7, 2, 4, false}};

void Run(benchmark::State& state, const PatchesKernel& kernel, const Layer& l) {
  if (kernel.isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  PatchesArgs args;
  Window& w = args.window;
  w.height = w.width = l.size;
  w.kernel_h = w.kernel_w = l.kernel;
  w.stride_h = w.stride_w = l.stride;
  w.pad_top = w.pad_left = l.kernel / 2;
  w.out_h = w.out_w = (l.size + 2 * (l.kernel / 2) - l.kernel) / l.stride + 1;
  args.channels = args.in_pixel = l.channels;
  args.element = l.element;
  args.channels_first = l.first;
  args.out_row = l.kernel * l.kernel * l.channels;
  const int64_t pixels = w.out_h * w.out_w, row = args.out_row * l.element, block = 256 * 1024 / row;
  const std::vector<uint8_t> in(static_cast<size_t>(l.size * l.size * l.channels * l.element), 1);
  std::vector<uint8_t> out(static_cast<size_t>(block * row));
  args.in = in.data();
  args.out = out.data();
  for (auto _ : state) {
    for (args.p0 = 0; args.p0 < pixels; args.p0 = args.p1) {
      args.p1 = std::min(args.p0 + block, pixels);
      kernel.run(args);
    }
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = benchmark::Counter(static_cast<double>(pixels * row) * 1e-9,
                                              benchmark::Counter::kIsIterationInvariantRate);
  args.p0 = w.out_w + 1;  // with all of its taps inside
  args.p1 = args.p0 + 1;
  std::fill(out.begin(), out.begin() + row, uint8_t{0});
  kernel.run(args);
  if (std::count(out.begin(), out.begin() + row, 1) != (l.kernel == 7 ? 6 * 6 * row / 49 : row))
    state.SkipWithError("wrong answer");
}

const bool kRegistered = [] {
  for (const Layer& l : kLayers) {
    const std::string at = "/" + std::to_string(l.size) + "x" + std::to_string(l.channels) + "_k" +
                           std::to_string(l.kernel) + "s" + std::to_string(l.stride) + "_" +
                           std::to_string(l.element) + (l.first ? "_first" : "");
    for (const PatchesKernel& kernel : PatchesKernels())
      benchmark::RegisterBenchmark((std::string(kernel.name) + at).c_str(), Run, kernel, l);
  }
  return true;
}();

}  // namespace
}  // namespace strop::engine
