#include "strop/engine/kernels/int8_gemm/int8_gemm.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace strop::engine {
namespace {

constexpr uint8_t kGuard = 0xA5;

// A product, its operands off alignment, with a gap between the rows of a and of c.
struct Case {
  GemmShape shape;
  bool is_signed = false;
  bool transposed = false;
  Int8Output output = Int8Output::kS32;
  Clamp clamp{};
  int32_t zero = 0;
  int64_t misalign = 1, gap = 3;
};

struct Operands {
  std::vector<uint8_t> a, c;
  std::vector<int8_t> b;
  std::vector<int32_t> correction;
  std::vector<float> scale, offset;
  int64_t lda = 0, ldc = 0;
};

int64_t Bytes(Int8Output output) { return output == Int8Output::kS32 || output == Int8Output::kF32 ? 4 : 1; }

Operands Make(const Case& test, uint32_t seed) {
  const auto [m, n, k] = test.shape;
  std::mt19937 generator(seed);
  std::uniform_int_distribution<int> byte(0, 255), some(-9999, 9999);
  std::uniform_real_distribution<float> near(-1, 1);
  Operands o;
  o.lda = k + test.gap;
  o.ldc = n + test.gap;
  o.a.resize(static_cast<size_t>(m * o.lda + test.misalign));
  o.b.resize(static_cast<size_t>(n * k));
  o.c.assign(static_cast<size_t>((m * o.ldc + test.misalign) * Bytes(test.output)), kGuard);
  for (uint8_t& value : o.a) value = static_cast<uint8_t>(byte(generator));
  for (int8_t& value : o.b) value = static_cast<int8_t>(byte(generator) - 128);
  for (int64_t i = 0; i < n; ++i) {
    o.correction.push_back(some(generator));
    o.scale.push_back(std::ldexp(near(generator), -8 - std::min<int>(8, static_cast<int>(std::sqrt(k)))));
    o.offset.push_back(20 * near(generator));
  }
  return o;
}

void Normal(std::vector<int8_t>& weights, double deviation) {
  std::mt19937 generator(3);
  std::normal_distribution<double> normal(0, deviation);
  for (int8_t& weight : weights) weight = static_cast<int8_t>(std::clamp(normal(generator), -128.0, 127.0));
}

Int8GemmArgs ArgsOf(const Case& test, Operands& o, const PackedInt8Weights& packed) {
  Int8GemmArgs args;
  args.m = test.shape.m;
  args.n = test.shape.n;
  args.k = test.shape.k;
  args.a = o.a.data() + test.misalign;
  args.lda = o.lda;
  args.is_signed = test.is_signed;
  args.sums = packed.sums.data();
  args.b = packed.panels.As<int8_t>().data();
  if (!packed.rest_begin.empty()) {
    args.rests = packed.rests.As<int8_t>().data();
    args.rest_row = packed.rest_row.data();
    args.rest_begin = packed.rest_begin.data();
  }
  args.correction = o.correction.data();
  args.scale = o.scale.data();
  args.offset = o.offset.data();
  args.clamp = test.clamp;
  args.zero = test.zero;
  args.output = test.output;
  args.c = o.c.data() + test.misalign * Bytes(test.output);
  args.ldc = o.ldc;
  return args;
}

void Compute(const Int8GemmKernel& kernel, const Case& test, Operands& o, const GemmGrid& grid = {}) {
  const PackedInt8Weights packed =
      PackInt8Weights(o.b.data(), test.shape.n, test.shape.k, test.transposed, kernel);
  const Int8GemmArgs args = ArgsOf(test, o, packed);
  for (int64_t index = 0; index < grid.rows * grid.columns; ++index)
    kernel.run(Int8GemmBlock(args, kernel, grid, index));
}

int32_t Sum(const Case& test, const Operands& o, int64_t row, int64_t column) {
  int64_t sum = o.correction[static_cast<size_t>(column)];
  for (int64_t x = 0; x < test.shape.k; ++x) {
    const auto at =
        static_cast<size_t>(test.transposed ? column * test.shape.k + x : x * test.shape.n + column);
    int a = o.a[static_cast<size_t>(test.misalign + row * o.lda + x)];
    if (test.is_signed) a = static_cast<int8_t>(a);
    sum += a * o.b[at];
  }
  return static_cast<int32_t>(sum);
}

// The bits of an element of c, by the words of args.h.
uint32_t Wanted(const Case& test, const Operands& o, int64_t row, int64_t column) {
  const auto at = static_cast<size_t>(column);
  const int32_t sum = Sum(test, o, row, column);
  if (test.output == Int8Output::kS32) return static_cast<uint32_t>(sum);
  volatile float product = static_cast<float>(sum) * o.scale[at];  // no fused multiply-add
  float y = product + o.offset[at];
  y = std::min(std::max(y, test.clamp.low), test.clamp.high);
  if (test.output == Int8Output::kF32) {
    uint32_t bits;
    std::memcpy(&bits, &y, sizeof bits);
    return bits;
  }
  const double low = test.output == Int8Output::kS8 ? -128 : 0, high = low + 255;
  const double q = std::nearbyint(static_cast<double>(y)) + test.zero;
  return static_cast<uint8_t>(static_cast<int>(std::clamp(q, low, high)));
}

void ExpectTheNaiveBits(const Case& test, const Operands& o, const std::string& what) {
  const auto [m, n, k] = test.shape;
  const int64_t size = Bytes(test.output);
  const uint8_t* c = o.c.data() + test.misalign * size;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < o.ldc; ++j) {
      uint32_t got = 0, wanted = 0;
      std::memcpy(&got, c + (i * o.ldc + j) * size, static_cast<size_t>(size));
      std::memset(&wanted, kGuard, static_cast<size_t>(size));
      if (j < n) wanted = Wanted(test, o, i, j);
      ASSERT_EQ(got, wanted) << what << " m=" << m << " n=" << n << " k=" << k << " at [" << i << "," << j
                             << "] output " << static_cast<int>(test.output) << " signed " << test.is_signed;
    }
  }
}

class Int8GemmKernelTest : public testing::TestWithParam<const Int8GemmKernel*> {
 protected:
  void SetUp() override {
    if (GetParam()->isa > HighestIsa(Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }
  void Check(const Case& test, const GemmGrid& grid = {}, uint32_t seed = 1) {
    Operands operands = Make(test, seed);
    Compute(*GetParam(), test, operands, grid);
    ExpectTheNaiveBits(test, operands, std::string(GetParam()->name));
  }
};

TEST_P(Int8GemmKernelTest, EveryRemainderOfRowsAndColumns) {
  const GemmTiling& tile = GetParam()->tile;
  for (int64_t m = 0; m <= 2 * tile.mr + 1; ++m)
    for (int64_t n = 1; n <= 2 * tile.nr + 1; ++n) Check({.shape = {m, n, 9}, .is_signed = n % 2 == 0});
}

TEST_P(Int8GemmKernelTest, EveryRemainderOfDepth) {
  for (int64_t k = 0; k <= 35; ++k) Check({.shape = {GetParam()->tile.mr + 1, GetParam()->tile.nr + 3, k}});
  for (const int64_t k : {1023, 1024, 3072})
    Check({.shape = {3, GetParam()->tile.nr + 1, k}, .is_signed = true});
}

TEST_P(Int8GemmKernelTest, EveryOutput) {
  for (const Int8Output output : {Int8Output::kS32, Int8Output::kF32, Int8Output::kU8, Int8Output::kS8})
    for (const Clamp clamp : {Clamp(), Clamp::Relu(), Clamp(-20, 30.5f), Clamp(300, 400), Clamp(-500, -400)})
      for (const bool is_signed : {false, true})
        Check({.shape = {7, 70, 64},
               .is_signed = is_signed,
               .output = output,
               .clamp = clamp,
               .zero = output == Int8Output::kU8 ? 121 : -3});
}

TEST_P(Int8GemmKernelTest, TransposedWeightsAndAnyAlignment) {
  for (int64_t offset = 0; offset < 9; ++offset)
    Check({.shape = {5, 37, 40}, .transposed = offset % 2 == 0, .misalign = offset, .gap = offset});
}

TEST_P(Int8GemmKernelTest, BlocksOfAnyGridMakeTheWhole) {
  for (int64_t rows = 1; rows <= 4; ++rows)
    for (int64_t columns = 1; columns <= 4; ++columns)
      for (const Int8Output output : {Int8Output::kF32, Int8Output::kU8})
        Check({.shape = {29, 300, 31}, .output = output}, {rows, columns});
}

// vpmaddubsw adds pairs of products in 16 bits and saturates: 255 · 127 · 2 = 64,770.
TEST_P(Int8GemmKernelTest, TheLargestBytesDoNotSaturate) {
  for (const int weight : {127, -128, 64, 65}) {
    for (const int other : {127, -128, 0, 64}) {
      Case test{.shape = {GetParam()->tile.mr, GetParam()->tile.nr + 5, 64}};
      Operands o = Make(test, 1);
      std::fill(o.a.begin(), o.a.end(), uint8_t{255});
      for (size_t i = 0; i < o.b.size(); ++i) {
        const bool odd = static_cast<int64_t>(i) / test.shape.n % 2 != 0;
        o.b[i] = static_cast<int8_t>(odd ? other : weight);
      }
      Compute(*GetParam(), test, o);
      ExpectTheNaiveBits(test, o, std::string(GetParam()->name));
    }
  }
}

// As layers are: some vectors of columns have rests in some groups, some have none.
TEST_P(Int8GemmKernelTest, NormalWeightsDoNotSaturate) {
  for (const double deviation : {25.0, 38.0, 60.0}) {
    for (const auto& [n, k] : {std::pair{3, 301}, {70, 64}, {131, 129}, {200, 50}, {40, 15}}) {
      Case test{.shape = {GetParam()->tile.mr + 3, n, k}, .is_signed = n % 2 == 0, .gap = 0};
      Operands o = Make(test, 1);
      Normal(o.b, deviation);
      for (size_t i = 0; i < o.a.size(); i += 3) o.a[i] = test.is_signed ? 127 : 255;
      Compute(*GetParam(), test, o);
      ExpectTheNaiveBits(test, o, std::string(GetParam()->name));
    }
  }
}

TEST_P(Int8GemmKernelTest, OnePairAnywhereDoesNotSaturate) {
  for (const int64_t k : {2, 3, 7, 18, 32}) {
    for (int64_t pair = 0; pair + 1 < k; pair += 2) {
      for (const int64_t column : {0, 7, 8, 16, 37, 69}) {
        Case test{.shape = {GetParam()->tile.mr, 70, k}};
        Operands o = Make(test, 1);
        std::fill(o.a.begin(), o.a.end(), uint8_t{255});
        std::fill(o.b.begin(), o.b.end(), int8_t{1});
        const auto weight = static_cast<int8_t>(column % 2 == 0 ? 127 : -128);
        for (const int64_t row : {pair, pair + 1}) o.b[static_cast<size_t>(row * 70 + column)] = weight;
        Compute(*GetParam(), test, o);
        ExpectTheNaiveBits(test, o, std::string(GetParam()->name));
      }
    }
  }
}

TEST_P(Int8GemmKernelTest, TiesGoToTheEvenAndWhatIsBeyondSaturates) {
  // 1 · 1 + correction is the sum; half of it is the answer.
  Case test{.shape = {1, 9, 1}, .output = Int8Output::kU8, .zero = 10};
  Operands o = Make(test, 1);
  std::fill(o.a.begin(), o.a.end(), uint8_t{1});
  std::fill(o.b.begin(), o.b.end(), int8_t{1});
  std::fill(o.scale.begin(), o.scale.end(), 0.5f);
  std::fill(o.offset.begin(), o.offset.end(), 0.0f);
  o.correction = {0, 2, 4, -2, -4, -1000, 1000, std::numeric_limits<int32_t>::max() - 1, -22};
  Compute(*GetParam(), test, o);
  const std::vector<uint8_t> got(o.c.begin() + test.misalign, o.c.begin() + test.misalign + 9);
  // 0.5, 1.5, 2.5, -0.5, -1.5 to the even, plus 10; -10.5 is -10.
  EXPECT_EQ(got, (std::vector<uint8_t>{10, 12, 12, 10, 8, 0, 255, 255, 0}));
}

// Conversion to integers answers the lowest one for what 32 bits do not hold.
TEST_P(Int8GemmKernelTest, WhatIsBeyond32BitsSaturates) {
  for (const Int8Output output : {Int8Output::kU8, Int8Output::kS8}) {
    for (const auto& [scale, offset] : {std::pair{1e9f, 0.0f},
                                        {-1e9f, 1e9f},
                                        {0.25f, 4e9f},
                                        {0.25f, -4e9f},
                                        {0.5f, 0x1p29f},
                                        {1e38f, 0.0f},
                                        {0.0f, HUGE_VALF}}) {
      Case test{.shape = {19, 21, 9}, .output = output, .zero = output == Int8Output::kU8 ? 3 : -3};
      Operands o = Make(test, 1);
      std::fill(o.scale.begin(), o.scale.end(), scale);
      std::fill(o.offset.begin(), o.offset.end(), offset);
      Compute(*GetParam(), test, o);
      ExpectTheNaiveBits(test, o, std::string(GetParam()->name));
    }
  }
}

// Pixels of an image of three rows by kernels of three, padded to the kernel's depth by weights of zero.
TEST_P(Int8GemmKernelTest, RowsInAnImageAreReadWhereTheyAre) {
  const Int8GemmKernel& kernel = *GetParam();
  for (const int64_t channels : {int64_t{3}, int64_t{20}, 2 * kernel.depth}) {
    for (const int64_t stride : {1, 2}) {
      for (const int64_t run : {1, 7, 9, 14, 16, 21, 40}) {
        const int64_t n = 37, width = (run - 1) * stride + 3, rows = 2, pitch = width * channels;
        const int64_t depth = (3 * channels + kernel.depth - 1) / kernel.depth * kernel.depth;
        Case test{.shape = {rows * run, n, 3 * depth}, .is_signed = stride == 2, .output = Int8Output::kU8};
        Operands o = Make(test, static_cast<uint32_t>(run));
        if (run % 2 == 0) Normal(o.b, 38);
        for (int64_t k = 0; k < 3 * depth; ++k)
          if (k % depth >= 3 * channels)
            std::fill_n(o.b.begin() + static_cast<std::ptrdiff_t>(k * n), n, int8_t{0});
        std::vector<uint8_t> image(static_cast<size_t>((2 + rows) * pitch + depth - 3 * channels));
        std::mt19937 generator(2);
        for (uint8_t& byte : image) byte = static_cast<uint8_t>(generator());
        const std::vector<int64_t> offsets = {0, pitch, 2 * pitch};
        for (int64_t row = 0; row < rows * run; ++row)
          for (int64_t k = 0; k < 3 * depth; ++k)
            o.a[static_cast<size_t>(test.misalign + row * o.lda + k)] = image[static_cast<size_t>(
                row / run * pitch + row % run * stride * channels + k / depth * pitch + k % depth)];
        const PackedInt8Weights packed = PackInt8Weights(o.b.data(), n, 3 * depth, false, kernel, depth);
        Int8GemmArgs args = ArgsOf(test, o, packed);
        args.a = image.data();
        args.lda = stride * channels;
        args.run = run;
        args.run_stride = pitch;
        args.tap_depth = depth;
        args.tap_offset = offsets.data();
        kernel.run(args);
        ExpectTheNaiveBits(test, o, std::string(kernel.name) + " runs of " + std::to_string(run));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Int8GemmKernelTest, testing::ValuesIn([] {
                           std::vector<const Int8GemmKernel*> all;
                           for (const Int8GemmKernel& kernel : Int8GemmKernels()) all.push_back(&kernel);
                           return all;
                         }()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

// STROP_FUZZ_SECONDS and STROP_FUZZ_SEED make it a fuzzer.
TEST(Int8GemmFuzz, EveryKernelAnswersTheNaiveBits) {
  const auto number = [](const char* name, double otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atof(text);
  };
  const double seconds = number("STROP_FUZZ_SECONDS", 0.5);
  const auto first = static_cast<uint32_t>(number("STROP_FUZZ_SEED", 1));
  const auto start = std::chrono::steady_clock::now();
  uint32_t seed = first;
  for (; std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds; ++seed) {
    std::mt19937 generator(seed);
    const auto below = [&](int64_t n) {
      return static_cast<int64_t>(generator() % static_cast<uint64_t>(n));
    };
    Case test{.shape = {below(2) == 0 ? below(20) : below(90), 1 + below(200),
                        below(2) == 0 ? below(40) : below(600)},
              .is_signed = below(2) == 0,
              .transposed = below(2) == 0,
              .output = static_cast<Int8Output>(below(4)),
              .misalign = below(16),
              .gap = below(5)};
    if (below(2) == 0) test.clamp = Clamp(static_cast<float>(-below(100)), static_cast<float>(below(100)));
    test.zero = test.output == Int8Output::kU8 ? static_cast<int32_t>(below(256)) : 0;
    const GemmGrid grid{1 + below(3), 1 + below(3)};
    Operands operands = Make(test, seed);
    const int64_t most = std::vector<int64_t>{128, 90, 64, 10}[static_cast<size_t>(below(4))];
    for (int8_t& weight : operands.b) weight = static_cast<int8_t>(weight * most / 128);
    for (const Int8GemmKernel& kernel : Int8GemmKernels()) {
      if (kernel.isa > HighestIsa(Cpu())) continue;
      Operands own = operands;
      Compute(kernel, test, own, grid);
      ExpectTheNaiveBits(test, own, std::string(kernel.name) + " seed " + std::to_string(seed));
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  std::printf("%u cases from seed %u\n", seed - first, first);
}

TEST(PackInt8Weights, NoPairOfASaturatingKernelExceeds16Bits) {
  std::mt19937 generator(5);
  for (const Int8GemmKernel& kernel : Int8GemmKernels()) {
    const int64_t n = 2 * kernel.tile.nr + 3, k = 37;
    std::vector<int8_t> b(static_cast<size_t>(n * k));
    for (int8_t& weight : b) weight = static_cast<int8_t>(generator() % 256);
    const PackedInt8Weights packed = PackInt8Weights(b.data(), n, k, false, kernel);
    const auto bytes = packed.panels.As<int8_t>();
    std::vector<int> whole(bytes.begin(), bytes.end());
    EXPECT_EQ(packed.rest_begin.empty(), kernel.rest_lanes == 0) << kernel.name;
    const int64_t groups = (k + 3) / 4, nr = kernel.tile.nr, lanes = kernel.rest_lanes;
    const auto expect_safe = [&](std::span<const int8_t> weights) {
      for (size_t pair = 0; lanes != 0 && pair < weights.size(); pair += 2) {
        const int first = weights[pair], second = weights[pair + 1];
        ASSERT_LE(255 * (std::max(first, 0) + std::max(second, 0)), 32767);
        ASSERT_GE(255 * (std::min(first, 0) + std::min(second, 0)), -32768);
      }
    };
    expect_safe(bytes);
    const auto size = static_cast<size_t>(4 * lanes);
    for (size_t list = 0; list < packed.rest_begin.size(); ++list) {
      int32_t before = 0;
      for (auto at = static_cast<size_t>(packed.rest_begin[list]); packed.rest_row[at] < k; ++at) {
        const int32_t row = packed.rest_row[at];
        ASSERT_GE(row, std::exchange(before, row));
        ASSERT_LE(row + kInt8RestSpan, k);
        const auto rests = packed.rests.As<int8_t>().subspan(at * 2 * size, size);
        const auto picks = packed.rests.As<int8_t>().subspan((at * 2 + 1) * size, size);
        expect_safe(rests);
        for (size_t i = 0; i < size; ++i) {
          const int64_t column = static_cast<int64_t>(list) * lanes + static_cast<int64_t>(i / 4);
          const int64_t group = (column / nr * groups + (row + picks[i]) / 4) * nr + column % nr;
          ASSERT_LT(picks[i], kInt8RestSpan);
          whole[static_cast<size_t>(group * 4 + (row + picks[i]) % 4)] += rests[i];
        }
      }
    }
    for (int64_t row = 0; row < k; ++row) {
      for (int64_t column = 0; column < n; ++column) {
        const int64_t group = (column / nr * groups + row / 4) * nr + column % nr;
        ASSERT_EQ(whole[static_cast<size_t>(group * 4 + row % 4)], b[static_cast<size_t>(row * n + column)]);
      }
    }
  }
}

TEST(Int8GemmDispatch, PicksForCpusThatAreNotHere) {
  const CpuFlags scalar{}, avx2{.avx2 = true}, avx512{.avx2 = true, .avx512 = true},
      vnni{.avx2 = true, .avx512 = true, .avx512_vnni = true},
      amx{.avx2 = true, .avx512 = true, .avx512_vnni = true, .amx_int8 = true};
  EXPECT_EQ(PickInt8Gemm({64, 64, 64}, scalar).name, "gemm_u8s8_4x4_scalar");
  EXPECT_EQ(PickInt8Gemm({1, 64, 64}, scalar).name, "gemv_u8s8_1x4_scalar");
#if defined(__x86_64__)
  EXPECT_EQ(PickInt8Gemm({64, 64, 64}, avx2).name, "gemm_u8s8_4x16_avx2");
  EXPECT_EQ(PickInt8Gemm({64, 64, 64}, avx512).name, "gemm_u8s8_6x64_avx512");
  EXPECT_EQ(PickInt8Gemm({64, 64, 64}, vnni).name, "gemm_u8s8_6x64_avx512vnni");
  EXPECT_EQ(PickInt8Gemm({1, 64, 64}, vnni).name, "gemv_u8s8_1x64_avx512vnni");
  EXPECT_EQ(PickInt8Gemm({64, 64, 64}, amx).name, "gemm_u8s8_32x64_amx");
  EXPECT_EQ(PickInt8Gemm({64, 64, 16}, amx).name, "gemm_u8s8_6x64_avx512vnni");
  EXPECT_EQ(PickInt8Gemm({1, 64, 64}, amx).name, "gemv_u8s8_1x64_avx512vnni");
#endif
  EXPECT_EQ(FindInt8GemmKernel("gemm_u8s8_99x99_avx9000"), nullptr);
}

}  // namespace
}  // namespace strop::engine
