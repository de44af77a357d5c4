#include "strop/feed/nan/nan.h"

#include <cstring>

#include "strop/feed/nan/declarations.h"

namespace strop::feed {
namespace {

const NanKernels& Here() {
  static const NanKernels& kernels = ChooseNanKernels(Cpu());
  return kernels;
}

template <class T>
int64_t Count(bool (*has_nan)(const T*, int64_t) noexcept, bool (*one)(const T*, int64_t) noexcept,
              const uint8_t* values, int64_t count) noexcept {
  const auto* const typed = reinterpret_cast<const T*>(values);
  if (!has_nan(typed, count)) return 0;
  int64_t nans = 0;
  for (int64_t i = 0; i < count; ++i) nans += one(typed + i, 1);
  return nans;
}

}  // namespace

bool CanBeNan(DType dtype) noexcept {
  return dtype == DType::kF16 || dtype == DType::kF32 || dtype == DType::kF64;
}

int64_t CountNan(DType dtype, const uint8_t* values, int64_t count) noexcept {
  switch (dtype) {
    case DType::kF16:
      return Count(Here().f16, has_nan_f16_scalar, values, count);
    case DType::kF32:
      return Count(Here().f32, has_nan_f32_scalar, values, count);
    case DType::kF64:
      return Count(Here().f64, has_nan_f64_scalar, values, count);
    default:
      return 0;
  }
}

const std::vector<NanKernels>& AllNanKernels() {
  static const std::vector<NanKernels> kernels = {
#define STROP_NAN_KERNEL(isa, suffix) \
  {isa, #suffix, has_nan_f16_##suffix, has_nan_f32_##suffix, has_nan_f64_##suffix},
#include "strop/feed/nan/kernels.inc"
#undef STROP_NAN_KERNEL
  };
  return kernels;
}

const NanKernels& ChooseNanKernels(const CpuFlags& flags) {
  const auto& kernels = AllNanKernels();
  size_t best = 0;
  for (size_t i = 0; i < kernels.size(); ++i) {
    if (kernels[i].isa <= HighestIsa(flags)) best = i;
  }
  return kernels[best];
}

}  // namespace strop::feed
