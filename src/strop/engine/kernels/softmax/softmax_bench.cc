// Each kernel on one thread, over the rows of attention; every answer is checked.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "strop/engine/kernels/softmax/softmax.h"

namespace strop::engine {
namespace {

constexpr int64_t kRows = 128;
constexpr float kStep = 1.0f / 255;  // of bytes
constexpr int64_t kSizes[] = {16, 50, 128, 197, 384, 1024};

enum class Form { kPlain, kMasked, kMaskedToBytes };
constexpr const char* kForms[] = {"/plain", "/masked", "/masked_bytes"};

void OurSoftmax(benchmark::State& state, const SoftmaxKernel& kernel, int64_t n, Form form) {
  if (kernel.isa > HighestIsa(Cpu())) {
    state.SkipWithError("this CPU has no such instructions");
    return;
  }
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-20, 20);
  std::vector<float> x(static_cast<size_t>(kRows * n)), mask(static_cast<size_t>(n)), y(x.size());
  for (float& value : x) value = uniform(generator);
  for (float& value : mask) value = uniform(generator);
  const bool masked = form != Form::kPlain;
  SoftmaxArgs args{kRows, n, x.data(), n, 0.125f, masked ? mask.data() : nullptr, y.data(), n};
  std::vector<uint8_t> bytes(x.size());
  if (form == Form::kMaskedToBytes) {
    args.bytes = bytes.data();
    args.ldb = n;
    args.bytes_scale = kStep;
  }
  for (auto _ : state) {
    kernel.run(args);
    benchmark::ClobberMemory();
  }
  for (int64_t row = 0; row < kRows; ++row) {
    std::vector<double> powers;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double t = static_cast<double>(x[static_cast<size_t>(row * n + i)]) * 0.125;
      powers.push_back(std::exp(t + (masked ? static_cast<double>(mask[static_cast<size_t>(i)]) : 0)));
      sum += powers.back();
    }
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(row * n + i);
      const bool of_bytes = form == Form::kMaskedToBytes;
      const auto got = static_cast<double>(of_bytes ? static_cast<float>(bytes[at]) * kStep : y[at]);
      const double most = of_bytes ? 0.51 * static_cast<double>(kStep) : 1e-5;
      if (!(std::abs(got - powers[static_cast<size_t>(i)] / sum) < most)) {
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
  for (const SoftmaxKernel& kernel : SoftmaxKernels()) {
    for (const int64_t n : kSizes) {
      for (const Form form : {Form::kPlain, Form::kMasked, Form::kMaskedToBytes}) {
        const std::string name =
            std::string(kernel.name) + "/" + std::to_string(n) + kForms[static_cast<int>(form)];
        benchmark::RegisterBenchmark(name.c_str(), OurSoftmax, kernel, n, form);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace strop::engine
