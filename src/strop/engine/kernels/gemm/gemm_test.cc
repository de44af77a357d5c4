#include "strop/engine/kernels/gemm/gemm.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace strop::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// A product with its operands at an offset from 64-byte alignment, and a guard around every row of c.
struct Case {
  GemmShape shape;
  bool bias = true;
  Clamp clamp = {};
  bool transposed = false;
  int64_t misalign = 0;  // floats
  int64_t gap = 3;       // floats between the rows of a and of c
};

constexpr float kGuard = -12345.0f;

std::vector<float> Random(size_t size, uint32_t seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(size);
  for (float& value : values) value = uniform(generator);
  return values;
}

struct Operands {
  std::vector<float> a, b, bias, c;
  int64_t lda = 0, ldc = 0;
};

Operands Make(const Case& test) {
  const auto [m, n, k] = test.shape;
  Operands o;
  o.lda = k + test.gap;
  o.ldc = n + test.gap;
  const auto size = [](int64_t count) { return static_cast<size_t>(count); };
  o.a = Random(size(m * o.lda + test.misalign), 1);
  o.b = Random(size(n * k), 2);
  o.bias = Random(size(n + test.misalign), 3);
  o.c.assign(size(m * o.ldc + test.misalign), kGuard);
  return o;
}

void Compute(const GemmKernel& kernel, const Case& test, Operands& o, const GemmGrid& grid = {}) {
  const auto [m, n, k] = test.shape;
  const PackedWeights packed = PackWeights(o.b.data(), n, k, test.transposed, 1, kernel.tile.nr);
  GemmArgs args{m,
                n,
                k,
                o.a.data() + test.misalign,
                o.lda,
                static_cast<const float*>(packed.panels.data()),
                test.bias ? o.bias.data() + test.misalign : nullptr,
                o.c.data() + test.misalign,
                o.ldc,
                test.clamp};
  for (int64_t index = 0; index < grid.rows * grid.columns; ++index)
    kernel.run(GemmBlock(args, kernel, grid, index));
}

// c = clamp(a · b + bias) with double sums; tolerance: each of k products and sums rounds once, to half an
// epsilon of the sum of magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
void ExpectMatchesNaive(const Case& test, const Operands& o, const std::string& what) {
  const auto [m, n, k] = test.shape;
  const float* a = o.a.data() + test.misalign;
  const float* c = o.c.data() + test.misalign;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = test.bias ? static_cast<double>(o.bias[static_cast<size_t>(j + test.misalign)]) : 0;
      double magnitude = std::abs(sum);
      for (int64_t x = 0; x < k; ++x) {
        const auto at = static_cast<size_t>(test.transposed ? j * k + x : x * n + j);
        const double product = static_cast<double>(a[i * o.lda + x]) * static_cast<double>(o.b[at]);
        sum += product;
        magnitude += std::abs(product);
      }
      sum = std::clamp(sum, static_cast<double>(test.clamp.low), static_cast<double>(test.clamp.high));
      const double tolerance = static_cast<double>(k + 2) * 6e-8 * magnitude + 1e-30;
      ASSERT_NEAR(static_cast<double>(c[i * o.ldc + j]), sum, tolerance)
          << what << " m=" << m << " n=" << n << " k=" << k << " at [" << i << "," << j << "]";
    }
    for (int64_t j = n; j < n + test.gap; ++j) {
      ASSERT_EQ(c[i * o.ldc + j], kGuard)
          << what << " wrote past row " << i << " m=" << m << " n=" << n << " k=" << k;
    }
  }
}

class GemmKernelTest : public testing::TestWithParam<const GemmKernel*> {
 protected:
  void SetUp() override {
    if (!Runs(*GetParam(), Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }
  void Check(const Case& test, const GemmGrid& grid = {}) {
    Operands operands = Make(test);
    Compute(*GetParam(), test, operands, grid);
    ExpectMatchesNaive(test, operands, std::string(GetParam()->name));
  }
};

TEST_P(GemmKernelTest, EveryRemainderOfRowsAndColumns) {
  for (int64_t m = 0; m <= 2 * GetParam()->tile.mr + 1; ++m) {
    for (int64_t n = 1; n <= 2 * GetParam()->tile.nr + 1; ++n)
      Check({.shape = {m, n, 5}, .clamp = n % 2 == 0 ? Clamp::Relu() : Clamp()});
  }
}

TEST_P(GemmKernelTest, EveryRemainderOfDepth) {
  for (int64_t k = 0; k <= 19; ++k) Check({.shape = {GetParam()->tile.mr + 1, GetParam()->tile.nr + 3, k}});
  for (const int64_t k : {255, 256, 257, 383, 384, 385, 400, 767, 768, 769, 1200})
    Check({.shape = {3, GetParam()->tile.nr + 1, k}, .clamp = {-0.25f, 6}});
}

// Both orders of panels and tiles, the first up to 64 rows.
TEST_P(GemmKernelTest, RowsAndColumnsOfSeveralPanels) {
  for (const int64_t m : {1, 2, 3, 4, 13, 49, 63, 64, 65, 66, 100}) {
    for (const int64_t n : {64, 70, 133, 300}) Check({.shape = {m, n, 40}, .clamp = {0, 1}});
  }
}

TEST_P(GemmKernelTest, ColumnsBeyondOneBlock) {
  Check({.shape = {GetParam()->tile.mr + 2, 1100, 300}, .clamp = Clamp::Relu()});
}

TEST_P(GemmKernelTest, NoBiasAndTransposedWeights) {
  for (const bool bias : {false, true}) {
    for (const bool transposed : {false, true}) {
      Check({.shape = {7, 21, 33}, .bias = bias, .transposed = transposed});
    }
  }
}

TEST_P(GemmKernelTest, AnyAlignment) {
  for (int64_t offset = 0; offset < 16; ++offset)
    Check({.shape = {5, 37, 40}, .misalign = offset, .gap = offset});
}

TEST_P(GemmKernelTest, BlocksOfAnyGridMakeTheWhole) {
  for (int64_t rows = 1; rows <= 4; ++rows) {
    for (int64_t columns = 1; columns <= 4; ++columns) Check({.shape = {29, 70, 31}}, {rows, columns});
  }
}

// Not to rounding alone: what a product answers may not depend on the threads that share it.
TEST_P(GemmKernelTest, BlocksOfAnyGridAnswerTheSameBits) {
  const Case test{.shape = {101, 140, 770}, .clamp = {-3, 3}};
  Operands whole = Make(test);
  Compute(*GetParam(), test, whole);
  for (int64_t rows = 1; rows <= 40; rows = rows * 2 + 1) {
    for (int64_t columns = 1; columns <= 4; ++columns) {
      Operands parts = Make(test);
      Compute(*GetParam(), test, parts, {rows, columns});
      ASSERT_EQ(parts.c, whole.c) << rows << " x " << columns;
    }
  }
}

TEST_P(GemmKernelTest, TheBoundsOfAClampAreAnswersAndNanStaysNan) {
  const float inputs[] = {-kInf, -1, -0.5f, 0, 3, 6, 7, kInf, kNan},
              wanted[] = {-0.5f, -0.5f, -0.5f, 0, 3, 6, 6, 6, kNan};
  for (size_t i = 0; i < std::size(inputs); ++i) {
    Case test{.shape = {1, 1, 1}, .bias = false, .clamp = {-0.5f, 6}};
    Operands o = Make(test);
    o.a[0] = inputs[i];
    o.b[0] = 1;
    Compute(*GetParam(), test, o);
    if (std::isnan(wanted[i])) {
      EXPECT_TRUE(std::isnan(o.c[0])) << o.c[0];
    } else {
      EXPECT_EQ(o.c[0], wanted[i]) << inputs[i];
    }
  }
}

TEST_P(GemmKernelTest, ExtremesFollowIeee) {
  const float denormal = std::numeric_limits<float>::denorm_min() * 100;
  const float big = std::numeric_limits<float>::max();
  struct {
    float a, b, bias, plain, relu;
  } const cases[] = {
      {kInf, 1, 0, kInf, kInf},
      {-kInf, 1, 0, -kInf, 0},
      {kInf, 0, 0, kNan, kNan},
      {kNan, 1, 0, kNan, kNan},
      {big, 2, 0, kInf, kInf},
      {big, -2, 0, -kInf, 0},
      {denormal, 1, 0, denormal, denormal},
      {-denormal, 1, 0, -denormal, 0},
      {1, big, -big, 0, 0},
  };
  for (const auto& x : cases) {
    for (const bool relu : {false, true}) {
      // A lone row and column: the zeros that pad the panel must not reach the answer, nor inf * 0 = NaN of
      // them.
      Case test{.shape = {1, 1, 1}, .clamp = relu ? Clamp::Relu() : Clamp()};
      Operands o = Make(test);
      o.a[0] = x.a;
      o.b[0] = x.b;
      o.bias[0] = x.bias;
      Compute(*GetParam(), test, o);
      const float wanted = relu ? x.relu : x.plain;
      if (std::isnan(wanted)) {
        EXPECT_TRUE(std::isnan(o.c[0])) << x.a << " * " << x.b << " relu " << relu << " gave " << o.c[0];
      } else {
        EXPECT_EQ(o.c[0], wanted) << x.a << " * " << x.b << " + " << x.bias << " relu " << relu;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GemmKernelTest, testing::ValuesIn([] {
                           std::vector<const GemmKernel*> all;
                           for (const GemmKernel& kernel : GemmKernels()) all.push_back(&kernel);
                           return all;
                         }()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

TEST(GemmDispatch, PrintsWhatThisCpuRuns) {
  const std::vector<const GemmKernel*> candidates = GemmCandidates(Cpu());
  ASSERT_FALSE(candidates.empty());
  for (const GemmKernel* kernel : candidates) std::printf("ran %s\n", std::string(kernel->name).c_str());
}

TEST(GemmDispatch, PicksForCpusThatAreNotHere) {
  const CpuFlags scalar{}, avx2{.avx2 = true}, avx512{.avx2 = true, .avx512 = true},
      vnni{.avx2 = true, .avx512 = true, .avx512_vnni = true};
  EXPECT_EQ(PickGemm({64, 64, 64}, scalar).name, "gemm_f32_4x4_scalar");
  EXPECT_EQ(PickGemm({1, 64, 64}, scalar).name, "gemv_f32_1x4_scalar");
#if defined(__x86_64__)
  EXPECT_EQ(PickGemm({64, 64, 64}, avx2).name, "gemm_f32_6x16_avx2");
  EXPECT_EQ(PickGemm({1, 64, 64}, avx2).name, "gemv_f32_1x16_avx2");
  EXPECT_EQ(PickGemm({2, 64, 64}, avx2).name, "gemm_f32_6x16_avx2");
  EXPECT_EQ(PickGemm({64, 64, 64}, avx512).name, "gemm_f32_12x32_avx512");
  EXPECT_EQ(PickGemm({1, 64, 64}, vnni).name, "gemv_f32_1x32_avx512");
  EXPECT_EQ(GemmCandidates(scalar).size(), 2u);
  EXPECT_EQ(GemmCandidates(avx2).size(), 4u);
  EXPECT_EQ(GemmCandidates(vnni).size(), GemmKernels().size());
#endif
}

TEST(GemmDispatch, SplitsOnlyWhatIsWorthAThread) {
  const GemmKernel& gemm = *FindGemmKernel("gemm_f32_4x4_scalar");
  const GemmKernel& gemv = *FindGemmKernel("gemv_f32_1x4_scalar");
  const auto grid = [](const GemmGrid& g) { return std::pair(g.rows, g.columns); };
  EXPECT_EQ(grid(SplitGemm({8, 10, 64}, gemm.tile, 8, kFloatWorth)), std::pair(int64_t{1}, int64_t{1}));
  EXPECT_EQ(grid(SplitGemm({256, 512, 784}, gemm.tile, 8, kFloatWorth)), std::pair(int64_t{8}, int64_t{1}));
  EXPECT_EQ(grid(SplitGemm({4, 4096, 4096}, gemm.tile, 8, kFloatWorth)), std::pair(int64_t{1}, int64_t{8}));
  EXPECT_EQ(grid(SplitGemm({1, 4096, 4096}, gemv.tile, 8, kFloatWorth)), std::pair(int64_t{1}, int64_t{8}));
  EXPECT_EQ(grid(SplitGemm({1, 4, 1 << 24}, gemv.tile, 8, kFloatWorth)), std::pair(int64_t{1}, int64_t{1}));
}

TEST(GemmDispatch, UnknownNameHasNoKernel) { EXPECT_EQ(FindGemmKernel("gemm_f32_99x99_avx9000"), nullptr); }

TEST(PackWeights, PanelsArePaddedScaledAndTransposed) {
  const std::vector<float> b = {1, 2, 3, 4, 5, 6};  // [k=2, n=3]; as [n, k] it is its transpose
  const auto values = [](const PackedWeights& packed) {
    const auto all = packed.panels.As<float>();
    return std::vector<float>(all.begin(), all.end());
  };
  EXPECT_EQ(values(PackWeights(b.data(), 3, 2, false, 1, 2)), (std::vector<float>{1, 2, 4, 5, 3, 0, 6, 0}));
  const std::vector<float> bt = {1, 4, 2, 5, 3, 6};
  EXPECT_EQ(values(PackWeights(bt.data(), 3, 2, true, 2, 2)), (std::vector<float>{2, 4, 8, 10, 6, 0, 12, 0}));
}

TEST(PackPanels, EveryRemainderEitherWayFromRowsApart) {
  for (const int64_t nr : {4, 16, 32, 6}) {
    for (int64_t n = 1; n <= 2 * nr + 1; ++n) {
      for (const int64_t k : {0, 1, 3, 4, 7, 8}) {
        for (const bool transposed : {false, true}) {
          const int64_t ldb = (transposed ? k : n) + 3, rows = transposed ? n : k;
          const std::vector<float> b = Random(static_cast<size_t>(rows * ldb + 1), 7);
          const int64_t panels = (n + nr - 1) / nr;
          std::vector<float> out(static_cast<size_t>(panels * k * nr + 1), kGuard);
          PackPanels(b.data() + 1, ldb, n, k, transposed, nr, out.data());
          for (int64_t row = 0; row < k; ++row) {
            for (int64_t column = 0; column < panels * nr; ++column) {
              const int64_t at = transposed ? column * ldb + row : row * ldb + column;
              const auto to = static_cast<size_t>((column / nr * k + row) * nr + column % nr);
              ASSERT_EQ(out[to], column < n ? b[static_cast<size_t>(at + 1)] : 0)
                  << nr << " " << n << " " << k << " " << transposed << " at [" << row << "," << column
                  << "]";
            }
          }
          ASSERT_EQ(out.back(), kGuard);
        }
      }
    }
  }
}

}  // namespace
}  // namespace strop::engine
