#include "strop/engine/kernels/roofline/roofline.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <span>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/tensor.h"
#include "strop/base/topology.h"
#include "strop/engine/kernels/roofline/kernels.h"

namespace strop::engine {
namespace {

// Many short runs: on a busy machine some of them are left alone.
constexpr int kRuns = 20;

// Work units a second of `work(thread)` on all threads at once, best of kRuns.
template <class Work>
double BestRate(int threads, double units, Work work) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  Clock::time_point begin;
  std::barrier start(threads, [&]() noexcept { begin = Clock::now(); });
  std::barrier stop(threads, [&]() noexcept {
    best = std::max(best, units / std::chrono::duration<double>(Clock::now() - begin).count());
  });
  const auto body = [&](int thread) {
    for (int run = 0; run < kRuns; ++run) {
      start.arrive_and_wait();
      work(thread);
      stop.arrive_and_wait();
    }
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(body, thread);
  body(0);
  for (std::thread& other : others) other.join();
  return best;
}

constexpr int64_t kSteps = 200'000;

// Lowest instruction set first.
constexpr PeakKernel kPeakF32[] = {
    {Isa::kScalar, peak_f32_scalar, kPeakSums, kSteps},
#if defined(__x86_64__)
    {Isa::kAvx2, peak_f32_avx2, kPeakSums * 8, kSteps},
    {Isa::kAvx512, peak_f32_avx512, kPeakSums * 16, kSteps},
#endif
};
constexpr PeakKernel kPeakInt8[] = {
    {Isa::kScalar, peak_int8_scalar, kPeakSums, kSteps},
#if defined(__x86_64__)
    {Isa::kAvx2, peak_int8_avx2, kPeakSums * 32, kSteps},
    {Isa::kAvx512, peak_int8_avx512, kPeakSums * 64, kSteps},
    {Isa::kAvx512Vnni, peak_int8_avx512vnni, kPeakSums * 64, kSteps},
    {Isa::kAmx, peak_int8_amx, kPeakTiles* kTileProducts, kSteps / 10},
#endif
};

// With the highest of the kernels that the instruction set has.
double MeasurePeak(std::span<const PeakKernel> kernels, Isa isa, int threads) {
  if (isa > HighestIsa(Cpu())) {
    throw Error(Code::kInvalidArgument,
                fmt::format("cannot measure {}: this CPU (or STROP_ISA) goes up to {}", IsaName(isa),
                            IsaName(HighestIsa(Cpu()))));
  }
  PeakKernel kernel = kernels.front();
  for (const PeakKernel& each : kernels)
    if (each.isa <= isa) kernel = each;
  std::atomic<float> kept{0};
  const double operations = 2.0 * static_cast<double>(kernel.steps * kernel.products) * threads;
  return BestRate(threads, operations, [&](int) { kept = kernel.run(kernel.steps); });
}

}  // namespace

std::span<const PeakKernel> Int8PeakKernels() noexcept { return kPeakInt8; }

double MeasurePeakFlops(Isa isa, int threads) { return MeasurePeak(kPeakF32, isa, threads); }

double MeasurePeakInt8(Isa isa, int threads) { return MeasurePeak(kPeakInt8, isa, threads); }

double MeasureReadBandwidth(int threads) {
  const size_t share =
      std::max<size_t>(MachineTopology().l3_bytes * 2, 64 << 20) / static_cast<size_t>(threads) / 64 * 64;
  std::vector<Tensor> buffers;
  for (int thread = 0; thread < threads; ++thread) {
    buffers.push_back(Tensor::New(DType::kU64, {static_cast<int64_t>(share / 8)}));
    std::memset(buffers.back().data(), 1, share);
  }
  std::atomic<uint64_t> kept{0};
  return BestRate(threads, static_cast<double>(share) * threads, [&](int thread) {
    const auto* words = static_cast<const uint64_t*>(buffers[static_cast<size_t>(thread)].data());
    uint64_t sums[16] = {};
    for (size_t at = 0; at + 16 <= share / 8; at += 16) {
      for (size_t i = 0; i < 16; ++i) sums[i] += words[at + i];
    }
    uint64_t total = 0;
    for (const uint64_t sum : sums) total += sum;
    kept += total;
  });
}

}  // namespace strop::engine
