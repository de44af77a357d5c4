#include "strop/engine/kernels/layer_norm/layer_norm.h"

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
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();
constexpr float kGuard = -12345.0f;

std::vector<float> Random(int64_t size, uint32_t seed, float middle = 0) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-2, 2);
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = middle + uniform(generator);
  return values;
}

struct Case {
  int64_t n;
  bool residual = false, beta = true, root_mean_square = false;
  float epsilon = 1e-5f;
  float middle = 0;  // of x
  int64_t rows = 3, gap = 2, offset = 1;
};

class LayerNormTest : public testing::TestWithParam<const LayerNormKernel*> {
 protected:
  void SetUp() override {
    if (GetParam()->isa > HighestIsa(Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }

  void Check(const Case& test) {
    const int64_t size = test.offset + test.rows * (test.n + test.gap);
    Check(test, Random(size, static_cast<uint32_t>(test.n), test.middle));
  }

  // Apart, onto x and onto the residual.
  void Check(const Case& test, const std::vector<float>& x) {
    const int64_t n = test.n, stride = n + test.gap;
    const std::vector<float> r = Random(static_cast<int64_t>(x.size()), 77);
    const std::vector<float> gamma = Random(n + 3, 78), beta = Random(n + 5, 79);
    std::vector<float> y(x.size() + 20, kGuard), on_x = x, on_r = r;
    LayerNormArgs args;
    args.rows = test.rows;
    args.n = n;
    args.x = x.data() + test.offset;
    args.ldx = args.ldy = args.ld_residual = stride;
    if (test.residual) args.residual = r.data() + test.offset;
    args.gamma = gamma.data() + 3;
    if (test.beta) args.beta = beta.data() + 5;
    args.epsilon = test.epsilon;
    args.root_mean_square = test.root_mean_square;
    args.y = y.data() + test.offset;
    GetParam()->run(args);
    const LayerNormArgs apart = args;
    args.x = args.y = on_x.data() + test.offset;
    GetParam()->run(args);
    args.x = x.data() + test.offset;
    if (test.residual) args.residual = args.y = on_r.data() + test.offset;
    GetParam()->run(args);
    for (int64_t row = 0; row < test.rows; ++row) {
      const std::vector<double> wanted = Truth(apart, row);
      for (int64_t i = 0; i < stride; ++i) {
        const auto at = static_cast<size_t>(test.offset + row * stride + i);
        if (i >= n) {
          ASSERT_EQ(y[at], kGuard) << "wrote past row " << row << ", n=" << n;
          ASSERT_EQ(on_x[at], x[at]);
          ASSERT_EQ(on_r[at], r[at]);
          continue;
        }
        const double truth = wanted[static_cast<size_t>(i)];
        if (std::isnan(truth)) {
          ASSERT_TRUE(std::isnan(y[at]) && std::isnan(on_x[at]))
              << "n=" << n << " at " << i << " gave " << y[at];
          continue;
        }
        ASSERT_NEAR(static_cast<double>(y[at]), truth, tolerance_)
            << "n=" << n << " row " << row << " at " << i << " middle " << test.middle;
        ASSERT_EQ(on_x[at], y[at]) << "onto x, n=" << n;
        if (test.residual) {
          ASSERT_EQ(on_r[at], y[at]) << "onto the residual, n=" << n;
        }
      }
    }
    for (size_t at = static_cast<size_t>(test.offset + test.rows * stride); at < y.size(); ++at)
      ASSERT_EQ(y[at], kGuard);
  }

 private:
  double tolerance_ = 0;  // of the last row of Truth

  std::vector<double> Truth(const LayerNormArgs& args, int64_t row) {
    std::vector<double> t;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < args.n; ++i) {
      float value = args.x[row * args.ldx + i];
      if (args.residual != nullptr) value += args.residual[row * args.ld_residual + i];
      t.push_back(static_cast<double>(value));
      sum += t.back();
    }
    const double mean = args.root_mean_square ? 0 : sum / static_cast<double>(args.n);
    for (const double value : t) squares += (value - mean) * (value - mean);
    const double deviation =
        std::sqrt(squares / static_cast<double>(args.n) + static_cast<double>(args.epsilon));
    std::vector<double> y;
    double largest = 0;
    for (size_t i = 0; i < t.size(); ++i) {
      const double normal = (t[i] - mean) / deviation;
      largest = std::max(largest, std::abs(normal));
      y.push_back(normal * static_cast<double>(args.gamma[i]) +
                  (args.beta == nullptr ? 0 : static_cast<double>(args.beta[i])));
    }
    tolerance_ = 2e-6 * std::max(largest, 0.1);  // |gamma| and |beta| are below 2
    return y;
  }
};

TEST_P(LayerNormTest, EveryLengthAndAlignment) {
  for (int64_t n = 0; n <= 150; ++n) {
    const Case test{.n = n, .gap = n % 3, .offset = n % 17};
    for (const bool residual : {false, true}) {
      for (const bool beta : {false, true}) {
        for (const bool rms : {false, true}) {
          Case form = test;
          form.residual = residual;
          form.beta = beta;
          form.root_mean_square = rms;
          Check(form);
        }
      }
    }
  }
  for (const int64_t n : {384, 768, 1000, 1100}) {
    Check({.n = n, .residual = true});
    Check({.n = n, .beta = false, .root_mean_square = true});
  }
}

// The rounded mean of values near 1,000 is off by up to 3e-5, that of values near a million by 0.03.
TEST_P(LayerNormTest, AMeanFarFromZeroCostsNothing) {
  for (const float middle : {1e3f, -1e4f, 1e6f}) {
    for (const int64_t n : {5, 64, 100, 768}) {
      Check({.n = n, .epsilon = 1e-12f, .middle = middle});
      Check({.n = n, .residual = true, .middle = middle});
    }
  }
}

TEST_P(LayerNormTest, EqualElementsBecomeBeta) {
  for (const float value : {0.0f, 0.1f, 1.0f / 3, -12345.678f, 1e18f, kDenormal}) {
    for (int64_t n = 1; n <= 70; ++n) {
      std::vector<float> x(static_cast<size_t>(n), value), gamma = Random(n, 1), beta = Random(n, 2), y = x;
      LayerNormArgs args;
      args.rows = 1;
      args.n = args.ldx = args.ldy = n;
      args.x = x.data();
      args.gamma = gamma.data();
      args.beta = beta.data();
      args.y = y.data();
      GetParam()->run(args);
      // What the corrected mean is still off by, over sqrt(1e-5).
      const double tolerance = 1e-6 + std::abs(static_cast<double>(value)) * 1e-12;
      for (size_t i = 0; i < y.size(); ++i)
        ASSERT_NEAR(static_cast<double>(y[i]), static_cast<double>(beta[i]), tolerance)
            << value << " n=" << n;
    }
  }
}

TEST_P(LayerNormTest, ExtremesAnywhereInARow) {
  for (const float extreme : {kNan, kInf, -kInf, 1e15f, -1e15f, kDenormal, -0.0f}) {
    for (const int64_t n : {1, 2, 7, 16, 33, 70}) {
      for (int64_t at = 0; at < n; at += 3) {
        for (const bool rms : {false, true}) {
          std::vector<float> x = Random(n, static_cast<uint32_t>(at));
          x[static_cast<size_t>(at)] = extreme;
          Check({.n = n, .root_mean_square = rms, .rows = 1, .gap = 0, .offset = 0}, x);
          Check({.n = n, .residual = true, .root_mean_square = rms, .rows = 1, .gap = 0, .offset = 0}, x);
        }
      }
    }
  }
  // Squares below the denormals: epsilon alone is left. Without it they are 0 / 0.
  const std::vector<float> tiny(20, 100 * kDenormal);
  Check({.n = 20, .root_mean_square = true, .rows = 1, .gap = 0, .offset = 0}, tiny);
  const std::vector<float> zeros(20, 0.0f);
  Check({.n = 20, .epsilon = 0, .rows = 1, .gap = 0, .offset = 0}, zeros);
}

INSTANTIATE_TEST_SUITE_P(All, LayerNormTest, testing::ValuesIn([] {
                           std::vector<const LayerNormKernel*> all;
                           for (const LayerNormKernel& kernel : LayerNormKernels()) all.push_back(&kernel);
                           return all;
                         }()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

TEST(LayerNormDispatch, PicksForCpusThatAreNotHere) {
  const CpuFlags scalar{}, avx2{.avx2 = true}, vnni{.avx2 = true, .avx512 = true, .avx512_vnni = true};
  EXPECT_EQ(PickLayerNorm(scalar).name, "layer_norm_f32_scalar");
#if defined(__x86_64__)
  EXPECT_EQ(PickLayerNorm(avx2).name, "layer_norm_f32_avx2");
  EXPECT_EQ(PickLayerNorm(vnni).name, "layer_norm_f32_avx512");
#endif
}

}  // namespace
}  // namespace strop::engine
