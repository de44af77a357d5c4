#pragma once

#include <span>
#include <string_view>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/engine/kernels/layer_norm/args.h"

namespace strop::engine {

// One registry line of kernels.inc: LayerNormalization and RMSNormalization of ONNX over the last axis.
// Thread safe, without state; the shapes and who owns them are as args.h says.
//
// Mean and variance are of two passes in float32, corrected for the mean's rounding, so that a row far from 0
// loses nothing but the rounding of its own elements: a normal element is off by about 1e-6 of the largest of
// its row. Sums and squares beyond float32 (from 1.8e19 on) are infinite. A row with NaN becomes NaN; so does
// one with an infinity, but for the finite elements of a root mean square, which become 0.
struct STROP_API LayerNormKernel {
  std::string_view name;  // layer_norm_f32_avx2
  Isa isa;
  LayerNormFn run;
};

// Every kernel compiled in, lowest instruction set first. Lives as long as the process.
STROP_API std::span<const LayerNormKernel> LayerNormKernels() noexcept;
// The best kernel for a CPU with these flags. Pure.
STROP_API const LayerNormKernel& PickLayerNorm(const CpuFlags& flags) noexcept;

}  // namespace strop::engine
