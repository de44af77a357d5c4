#include "strop/engine/kernels/softmax/softmax.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace strop::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();
constexpr float kGuard = -12345.0f;

std::vector<float> Random(int64_t size, uint32_t seed, float most = 8) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-most, most);
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = uniform(generator);
  return values;
}

class SoftmaxTest : public testing::TestWithParam<const SoftmaxKernel*> {
 protected:
  void SetUp() override {
    if (GetParam()->isa > HighestIsa(Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }

  // Of x, rows of n with `gap` floats between them, from `offset` floats off alignment; apart and in place.
  void Check(std::vector<float> x, int64_t n, float scale, const float* mask, int64_t gap, int64_t offset) {
    const int64_t stride = n + gap;
    const int64_t rows = stride == 0 ? 0 : static_cast<int64_t>(x.size()) / stride;
    x.insert(x.begin(), static_cast<size_t>(offset), 0.0f);
    std::vector<float> y(x.size() + 20, kGuard), place = x;
    SoftmaxArgs args{rows, n, x.data() + offset, stride, scale, mask, y.data() + offset, stride};
    GetParam()->run(args);
    args.x = args.y = place.data() + offset;
    GetParam()->run(args);
    for (int64_t row = 0; row < rows; ++row) {
      const std::vector<double> wanted = Truth(x.data() + offset + row * stride, n, scale, mask);
      for (int64_t i = 0; i < stride; ++i) {
        const auto at = static_cast<size_t>(offset + row * stride + i);
        if (i >= n) {
          ASSERT_EQ(y[at], kGuard) << "wrote past row " << row << ", n=" << n;
          ASSERT_EQ(place[at], x[at]) << "wrote past row " << row << " in place, n=" << n;
          continue;
        }
        const double truth = wanted[static_cast<size_t>(i)];
        if (std::isnan(truth)) {
          ASSERT_TRUE(std::isnan(y[at])) << "n=" << n << " at " << i << " gave " << y[at];
          ASSERT_TRUE(std::isnan(place[at]));
        } else {
          ASSERT_NEAR(static_cast<double>(y[at]), truth, tolerance_[static_cast<size_t>(i)])
              << "n=" << n << " row " << row << " at " << i;
          ASSERT_EQ(place[at], y[at]) << "in place, n=" << n << " at " << i;
        }
      }
    }
    for (size_t at = static_cast<size_t>(offset + rows * stride); at < y.size(); ++at)
      ASSERT_EQ(y[at], kGuard);
  }

 private:
  std::vector<double> tolerance_;  // of the last row of Truth

  // numpy's exp(t - t.max()) / sum; the tolerance is softmax.h's.
  std::vector<double> Truth(const float* x, int64_t n, float scale, const float* mask) {
    constexpr auto kMost = static_cast<double>(kMax), kInfinity = static_cast<double>(kInf);
    std::vector<double> t, sizes, y;
    double largest = -kInfinity, size_of_largest = 0, total = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double product = static_cast<double>(x[i]) * static_cast<double>(scale);
      const double added = mask == nullptr ? 0 : static_cast<double>(mask[i]);
      double value = product + added;
      if (std::abs(value) > kMost) value = std::copysign(kInfinity, value);  // as float32 overflows
      t.push_back(value);
      sizes.push_back(std::abs(product) + std::abs(added));
      if (std::isnan(value) || value > largest) {
        largest = value;
        size_of_largest = sizes.back();
      }
    }
    for (const double value : t) total += std::exp(value - largest);
    tolerance_.clear();
    for (size_t i = 0; i < t.size(); ++i) {
      y.push_back(std::exp(t[i] - largest) / total);
      const double relative = y.back() == 0 ? 0 : 6e-8 * (8 + 2 * (sizes[i] + size_of_largest));
      tolerance_.push_back(y.back() * relative + 1.3e-38);
    }
    return y;
  }
};

TEST_P(SoftmaxTest, EveryLengthAndAlignment) {
  for (int64_t n = 0; n <= 150; ++n) {
    const std::vector<float> mask = Random(n + 1, 7);
    const int64_t gap = n % 3, rows = 3;
    const std::vector<float> x = Random(rows * (n + gap), static_cast<uint32_t>(n));
    Check(x, n, 1, nullptr, gap, n % 17);
    Check(x, n, 0.125f, mask.data() + 1, gap, n * 3 % 17);
    Check(x, n, -2, nullptr, gap, n % 5);
  }
  for (const int64_t n : {384, 1000, 4099}) Check(Random(2 * n, 1), n, 0.3f, nullptr, 0, 0);
}

TEST_P(SoftmaxTest, RowsAddUpToOne) {
  const int64_t n = 4096;
  const std::vector<float> x = Random(n, 3, 1e-3f);
  std::vector<float> y(x.size());
  GetParam()->run({1, n, x.data(), n, 1, nullptr, y.data(), n});
  double sum = 0;
  for (const float value : y) sum += static_cast<double>(value);
  EXPECT_NEAR(sum, 1, 2e-6);
}

TEST_P(SoftmaxTest, MaskedElementsHaveNoWeight) {
  for (int64_t n = 2; n <= 70; ++n) {
    const std::vector<float> x = Random(n, static_cast<uint32_t>(n));
    for (const float masked : {-kInf, -kMax, -10000.0f}) {
      std::vector<float> mask(static_cast<size_t>(n), 0.0f), y(static_cast<size_t>(n));
      for (size_t i = 1; i < mask.size(); i += 2) mask[i] = masked;
      Check(x, n, 0.5f, mask.data(), 0, 0);
      GetParam()->run({1, n, x.data(), n, 0.5f, mask.data(), y.data(), n});
      for (size_t i = 1; i < mask.size(); i += 2) ASSERT_EQ(y[i], 0) << masked;
    }
  }
}

TEST_P(SoftmaxTest, ExtremesAnywhereInARow) {
  for (const float extreme : {kNan, kInf, -kInf, kMax, -kMax, kDenormal, -kDenormal, -0.0f, 1e4f, -87.3f}) {
    for (const int64_t n : {1, 2, 7, 16, 33, 70}) {
      for (int64_t at = 0; at < n; at += 3) {
        std::vector<float> x = Random(n, static_cast<uint32_t>(at));
        x[static_cast<size_t>(at)] = extreme;
        Check(x, n, 1, nullptr, 0, 1);
        Check(x, n, 2, x.data(), 0, 1);
      }
      Check(std::vector<float>(static_cast<size_t>(n), extreme), n, 1, nullptr, 0, 0);
    }
  }
  // The largest leaves the rest nothing, and the smallest are not lost below the denormals' end.
  Check({0, 1000, -1000}, 3, 1, nullptr, 0, 0);
  Check({0, -80, -87, -88, -104}, 5, 1, nullptr, 0, 0);
}

// The bytes nearest to the shares that the kernel answers as floats; of NaN, 0.
TEST_P(SoftmaxTest, AnswersBytes) {
  for (const bool is_signed : {false, true}) {
    for (int64_t n = 1; n <= 70; ++n) {
      const int64_t rows = 3, stride = n + 2;
      std::vector<float> x = Random(rows * n, static_cast<uint32_t>(n));
      if (n % 7 == 0) x[0] = kNan;
      std::vector<float> y(x.size());
      std::vector<uint8_t> bytes(static_cast<size_t>(rows * stride), 0xa5);
      SoftmaxArgs args{rows, n, x.data(), n, 0.5f, nullptr, y.data(), n};
      GetParam()->run(args);
      const std::vector<float> shares = y;
      args.bytes = bytes.data();
      args.ldb = stride;
      args.bytes_signed = is_signed;
      args.bytes_scale = 1.0f / 200;
      args.bytes_zero = is_signed ? -128 : 3;
      GetParam()->run(args);
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t i = 0; i < n; ++i) {
          const float share = shares[static_cast<size_t>(row * n + i)];
          const int low = is_signed ? -128 : 0;
          const uint8_t byte = bytes[static_cast<size_t>(row * stride + i)];
          if (std::isnan(share)) {
            ASSERT_EQ(byte, 0) << "n=" << n << " row " << row << " at " << i;
            continue;
          }
          const float wanted = std::clamp(share / args.bytes_scale + static_cast<float>(args.bytes_zero),
                                          static_cast<float>(low), static_cast<float>(low + 255));
          ASSERT_NEAR(is_signed ? static_cast<int8_t>(byte) : byte, wanted, 0.5001)
              << "n=" << n << " row " << row << " at " << i;
        }
        for (int64_t i = n; i < stride; ++i) ASSERT_EQ(bytes[static_cast<size_t>(row * stride + i)], 0xa5);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, SoftmaxTest, testing::ValuesIn([] {
                           std::vector<const SoftmaxKernel*> all;
                           for (const SoftmaxKernel& kernel : SoftmaxKernels()) all.push_back(&kernel);
                           return all;
                         }()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

TEST(SoftmaxDispatch, PicksForCpusThatAreNotHere) {
  const CpuFlags scalar{}, avx2{.avx2 = true}, vnni{.avx2 = true, .avx512 = true, .avx512_vnni = true};
  EXPECT_EQ(PickSoftmax(scalar).name, "softmax_f32_scalar");
#if defined(__x86_64__)
  EXPECT_EQ(PickSoftmax(avx2).name, "softmax_f32_avx2");
  EXPECT_EQ(PickSoftmax(vnni).name, "softmax_f32_avx512");
#endif
}

}  // namespace
}  // namespace strop::engine
