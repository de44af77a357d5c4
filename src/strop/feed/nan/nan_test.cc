#include "strop/feed/nan/nan.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace strop::feed {
namespace {

template <class T>
using HasNan = bool (*)(const T*, int64_t) noexcept;

// Every length to 70, every place of the NaN, every misalignment by bytes to 3, both signs; and what is
// nearly NaN.
template <class T>
void CheckKernel(HasNan<T> kernel, const std::vector<T>& sound, const std::vector<T>& nans) {
  for (int64_t count = 0; count <= 70; ++count) {
    for (size_t offset = 0; offset < 4; ++offset) {
      std::vector<uint8_t> bytes(sizeof(T) * static_cast<size_t>(count + 1) + offset);
      T* const values = reinterpret_cast<T*>(bytes.data() + offset);
      const auto set = [&](int64_t i, T value) { std::memcpy(values + i, &value, sizeof value); };
      for (int64_t i = 0; i < count; ++i) set(i, sound[static_cast<size_t>(i) % sound.size()]);
      set(count, nans[0]);  // beyond the end
      EXPECT_FALSE(kernel(values, count)) << count;
      for (int64_t place = 0; place < count; ++place) {
        set(place, nans[static_cast<size_t>(place) % nans.size()]);
        EXPECT_TRUE(kernel(values, count)) << count << " " << place;
        set(place, sound[0]);
      }
    }
  }
}

TEST(NanTest, EveryKernelFindsEveryNan) {
  constexpr float kInf = std::numeric_limits<float>::infinity(),
                  kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr double kInf64 = std::numeric_limits<double>::infinity(),
                   kNan64 = std::numeric_limits<double>::quiet_NaN();
  for (const NanKernels& kernels : AllNanKernels()) {
    if (kernels.isa > HighestIsa(Cpu())) {
      std::printf("[ %s is not run: this CPU lacks it ]\n", std::string(kernels.name).c_str());
      continue;
    }
    SCOPED_TRACE(kernels.name);
    CheckKernel<float>(kernels.f32, {0.0F, -1.5F, kInf, -kInf, 1e-45F, 3.4e38F}, {kNan, -kNan});
    CheckKernel<double>(kernels.f64, {0.0, -1.5, kInf64, -kInf64, 5e-324, 1.7e308}, {kNan64, -kNan64});
    CheckKernel<uint16_t>(kernels.f16, {0, 0x3c00, 0x7c00, 0xfc00, 0x0001, 0x7bff},
                          {0x7c01, 0xfe00, 0x7fff, 0xffff});
  }
}

TEST(NanTest, CountsByType) {
  const std::vector<float> values = {1, NAN, -NAN, INFINITY, NAN};
  const auto* const bytes = reinterpret_cast<const uint8_t*>(values.data());
  EXPECT_EQ(CountNan(DType::kF32, bytes, 5), 3);
  EXPECT_EQ(CountNan(DType::kF32, bytes, 1), 0);
  EXPECT_EQ(CountNan(DType::kI32, bytes, 5), 0);
  EXPECT_FALSE(CanBeNan(DType::kU8));
}

TEST(NanTest, TheBestKernelsOfACpuAreChosen) {
  EXPECT_EQ(ChooseNanKernels({}).name, "scalar");
#if defined(__x86_64__)
  EXPECT_EQ(ChooseNanKernels({.avx2 = true}).name, "avx2");
  EXPECT_EQ(ChooseNanKernels({.avx2 = true, .avx512 = true, .avx512_vnni = true}).name, "avx512");
#endif
}

}  // namespace
}  // namespace strop::feed
