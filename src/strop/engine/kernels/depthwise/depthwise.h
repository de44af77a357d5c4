#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/base/tensor.h"
#include "strop/engine/kernels/depthwise/args.h"

namespace strop::engine {

// One registry line of kernels.inc.
struct STROP_API DepthwiseKernel {
  std::string_view name;  // depthwise_f32_avx2: types, instruction set
  Isa isa;
  DepthwiseFn run;
};
struct STROP_API Int8DepthwiseKernel {
  std::string_view name;
  Isa isa;
  int64_t group;         // taps of a column of the kernel that one instruction sums: 1, 2 or 4
  int64_t block, least;  // channels of a block of packed weights; the last ones halve, down to `least`
  Int8DepthwiseFn run;
};

// Every kernel compiled in, lowest instruction set first. Live as long as the process.
STROP_API std::span<const DepthwiseKernel> DepthwiseKernels() noexcept;
STROP_API std::span<const Int8DepthwiseKernel> Int8DepthwiseKernels() noexcept;
// The one for a CPU with these flags. Pure.
STROP_API const DepthwiseKernel& PickDepthwise(const CpuFlags& flags) noexcept;
STROP_API const Int8DepthwiseKernel& PickInt8Depthwise(const CpuFlags& flags) noexcept;

// Channels of a tap of packed float weights are padded to a multiple of it with zeros.
inline constexpr int64_t kDepthwisePad = 16;

// float32 [taps, channels padded], which every float kernel reads, from ONNX's [channels, 1, kernel_h,
// kernel_w], each times `scale`.
STROP_API Tensor PackDepthwise(const float* weights, int64_t channels, int64_t kernel_h, int64_t kernel_w,
                               float scale = 1);

struct STROP_API PackedInt8Depthwise {
  Tensor weights;             // int8: bytes as the kernel reads them
  std::vector<int32_t> sums;  // of each channel
};
// From ONNX's [channels, 1, kernel_h, kernel_w]. A kernel of group 1 reads [taps, channels]. Others read, for
// each block of channels, column and group of `group` rows of the kernel, four bytes a channel: `group`
// weights of 4 / group bytes each, zeros where there is none. 16 (8 where group is 2) channels in a row are
// a lane of 16 bytes of the input; the block's first vectors of sums have the first four channels of each
// lane, and so on, as the interleaving of bytes leaves them.
STROP_API PackedInt8Depthwise PackInt8Depthwise(const int8_t* weights, int64_t channels, int64_t kernel_h,
                                                int64_t kernel_w, const Int8DepthwiseKernel& kernel);

}  // namespace strop::engine
