#include "strop/engine/kernels/depthwise/depthwise.h"

#include <algorithm>

#include "strop/engine/kernels/depthwise/declarations.h"

namespace strop::engine {
namespace {

constexpr DepthwiseKernel kKernels[] = {
#define STROP_DEPTHWISE_KERNEL(name, isa) {#name, Isa::isa, name},
#include "strop/engine/kernels/depthwise/kernels.inc"
#undef STROP_DEPTHWISE_KERNEL
};

constexpr Int8DepthwiseKernel kInt8Kernels[] = {
#define STROP_INT8_DEPTHWISE_KERNEL(name, isa, group, block, least) \
  {#name, Isa::isa, group, block, least, name},
#include "strop/engine/kernels/depthwise/kernels.inc"
#undef STROP_INT8_DEPTHWISE_KERNEL
};

template <class Kernel>
const Kernel& Pick(std::span<const Kernel> kernels, const CpuFlags& flags) noexcept {
  const Kernel* best = &kernels[0];
  for (const Kernel& kernel : kernels)
    if (kernel.isa <= HighestIsa(flags)) best = &kernel;
  return *best;
}

// Where the channel's four bytes are within its block of `block` channels.
int64_t PlaceInBlock(int64_t channel, int64_t block, int64_t group) {
  const int64_t vectors = group, lane = 4 * vectors;
  return channel % lane / 4 * (block / vectors) + channel / lane * 4 + channel % 4;
}

}  // namespace

std::span<const DepthwiseKernel> DepthwiseKernels() noexcept { return kKernels; }
std::span<const Int8DepthwiseKernel> Int8DepthwiseKernels() noexcept { return kInt8Kernels; }

const DepthwiseKernel& PickDepthwise(const CpuFlags& flags) noexcept {
  return Pick(DepthwiseKernels(), flags);
}
const Int8DepthwiseKernel& PickInt8Depthwise(const CpuFlags& flags) noexcept {
  return Pick(Int8DepthwiseKernels(), flags);
}

Tensor PackDepthwise(const float* weights, int64_t channels, int64_t kernel_h, int64_t kernel_w,
                     float scale) {
  const int64_t taps = kernel_h * kernel_w;
  const int64_t padded = (channels + kDepthwisePad - 1) / kDepthwisePad * kDepthwisePad;
  Tensor packed = Tensor::New(DType::kF32, {taps, padded});
  float* out = packed.As<float>().data();
  std::fill_n(out, taps * padded, 0.0f);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t tap = 0; tap < taps; ++tap) out[tap * padded + c] = weights[c * taps + tap] * scale;
  return packed;
}

PackedInt8Depthwise PackInt8Depthwise(const int8_t* weights, int64_t channels, int64_t kernel_h,
                                      int64_t kernel_w, const Int8DepthwiseKernel& kernel) {
  const int64_t taps = kernel_h * kernel_w, group = kernel.group;
  PackedInt8Depthwise packed;
  packed.sums.assign(static_cast<size_t>(channels), 0);
  for (int64_t i = 0; i < channels * taps; ++i) packed.sums[static_cast<size_t>(i / taps)] += weights[i];
  if (group == 1) {
    packed.weights = Tensor::New(DType::kI8, {taps, channels});
    int8_t* out = packed.weights.As<int8_t>().data();
    for (int64_t i = 0; i < channels * taps; ++i) out[i % taps * channels + i / taps] = weights[i];
    return packed;
  }
  const int64_t groups = (kernel_h + group - 1) / group, bytes = 4 / group;
  const int64_t padded = (channels + kernel.block - 1) / kernel.block * kernel.block;
  packed.weights = Tensor::New(DType::kI8, {padded, kernel_w * groups, 4});
  int8_t* out = packed.weights.As<int8_t>().data();
  std::fill_n(out, packed.weights.size(), int8_t{0});
  for (int64_t first = 0; first < channels;) {
    const int64_t left = channels - first;
    int64_t block = kernel.block;
    while (block > kernel.least && left <= block / 2) block /= 2;
    for (int64_t c = 0; c < std::min(left, block); ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t y = tap / kernel_w, x = tap % kernel_w;
        const int64_t place = (x * groups + y / group) * block + PlaceInBlock(c, block, group);
        int8_t* at = out + (first * kernel_w * groups + place) * 4 + y % group * bytes;
        const int8_t weight = weights[(first + c) * taps + tap];
        at[0] = weight;
        if (bytes == 2) at[1] = weight < 0 ? int8_t{-1} : int8_t{0};
      }
    }
    first += block;
  }
  return packed;
}

}  // namespace strop::engine
