#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/base/tensor.h"

namespace strop::feed {

// Whether values of these types can be NaN at all.
STROP_API bool CanBeNan(DType dtype) noexcept;

// NaNs among `count` values of the type, aligned or not. Costs next to nothing where there are none.
STROP_API int64_t CountNan(DType dtype, const uint8_t* values, int64_t count) noexcept;

// One instruction set's kernels, for tests and benchmarks.
struct NanKernels {
  Isa isa;
  std::string_view name;
  bool (*f16)(const uint16_t* values, int64_t count) noexcept;
  bool (*f32)(const float* values, int64_t count) noexcept;
  bool (*f64)(const double* values, int64_t count) noexcept;
};
STROP_API const std::vector<NanKernels>& AllNanKernels();
// The best that the flags allow.
STROP_API const NanKernels& ChooseNanKernels(const CpuFlags& flags);

}  // namespace strop::feed
