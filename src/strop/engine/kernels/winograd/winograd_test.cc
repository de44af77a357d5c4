#include "strop/engine/kernels/winograd/winograd.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace strop::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kGuard = -12345.0f;

struct Case {
  WinogradShape shape;
  bool bias = true;
  bool residual = false;
  Clamp clamp{};
  int64_t gap = 0;  // floats between pixels, beyond the channels
  int64_t misalign = 0;
  int threads = 1;
  int64_t most_tiles = 0;
};

std::vector<float> Random(int64_t size, uint32_t seed, double deviation = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0, deviation);
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = static_cast<float>(normal(generator));
  return values;
}

// Of unit variance, with He's weights: what the layers of a network meet.
struct Operands {
  explicit Operands(const Case& test)
      : shape(test.shape),
        ldx(shape.cin + test.gap),
        ldy(shape.cout + test.gap),
        x(Random(shape.batch * shape.height * shape.width * ldx + test.misalign, 1)),
        w(Random(shape.cout * shape.cin * 9, 2, std::sqrt(2.0 / static_cast<double>(9 * shape.cin)))),
        bias(Random(shape.cout, 3)),
        residual(Random(pixels() * ldy + test.misalign, 4)),
        y(residual.size(), kGuard) {}

  int64_t pixels() const { return shape.batch * shape.out_height() * shape.out_width(); }

  WinogradShape shape;
  int64_t ldx, ldy;
  std::vector<float> x, w, bias, residual, y;
};

void Compute(const WinogradKernel& kernel, const Case& test, Operands& o, bool residual_in_place = false) {
  const WinogradPlan plan =
      PlanWinograd(o.shape, kernel.tile, Limit(Cpu(), kernel.isa), test.threads, test.most_tiles);
  ASSERT_EQ(plan.kernel->name, kernel.name);
  const WinogradWeights weights =
      PackWinograd(o.w.data(), o.shape.cout, o.shape.cin, kernel.tile, plan.gemm->tile.nr);
  WinogradArgs args;
  args.x = o.x.data() + test.misalign;
  args.ldx = o.ldx;
  args.weights = &weights;
  args.bias = test.bias ? o.bias.data() : nullptr;
  args.clamp = test.clamp;
  if (residual_in_place) o.y = o.residual;
  args.y = o.y.data() + test.misalign;
  args.ldy = o.ldy;
  args.residual = !test.residual ? nullptr : residual_in_place ? args.y : o.residual.data() + test.misalign;
  args.ld_residual = o.ldy;
  // What is in scratch beforehand must not count, and nothing beyond it is touched.
  Tensor scratch = Tensor::New(DType::kF32, {plan.scratch_floats + 16});
  for (int64_t block = plan.blocks - 1; block >= 0; --block) {
    std::ranges::fill(scratch.As<float>(), kNan);
    std::ranges::fill(scratch.As<float>().last(16), kGuard);
    RunWinogradBlock(plan, args, block, scratch.As<float>().data());
    for (const float value : scratch.As<float>().last(16)) ASSERT_EQ(value, kGuard);
  }
}

// The answers in double, [pixels, cout].
std::vector<double> Truth(const Case& test, const Operands& o) {
  const WinogradShape& s = o.shape;
  std::vector<double> y;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t i = 0; i < s.out_height(); ++i) {
      for (int64_t j = 0; j < s.out_width(); ++j) {
        for (int64_t c = 0; c < s.cout; ++c) {
          double sum = test.bias ? static_cast<double>(o.bias[static_cast<size_t>(c)]) : 0;
          if (test.residual) {
            const int64_t pixel = static_cast<int64_t>(y.size()) / s.cout;
            sum += static_cast<double>(o.residual[static_cast<size_t>(pixel * o.ldy + c + test.misalign)]);
          }
          for (int64_t tap = 0; tap < 9; ++tap) {
            const int64_t row = i + tap / 3 - s.pad_top, column = j + tap % 3 - s.pad_left;
            if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
            const float* x = o.x.data() + test.misalign + ((b * s.height + row) * s.width + column) * o.ldx;
            for (int64_t k = 0; k < s.cin; ++k)
              sum += static_cast<double>(x[k]) *
                     static_cast<double>(o.w[static_cast<size_t>((c * s.cin + k) * 9 + tap)]);
          }
          y.push_back(sum);
        }
      }
    }
  }
  return y;
}

class WinogradTest : public testing::TestWithParam<const WinogradKernel*> {
 protected:
  void SetUp() override {
    if (GetParam()->isa > HighestIsa(Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }

  // In units of the truth's standard deviation, which is √2; winograd.h has what is measured.
  double Tolerance() const { return GetParam()->tile == 2 ? 1e-5 : 4e-5; }

  void Check(const Case& test) {
    Operands o(test);
    ASSERT_NO_FATAL_FAILURE(Compute(*GetParam(), test, o));
    Compare(test, o);
    if (!test.residual) return;
    ASSERT_NO_FATAL_FAILURE(Compute(*GetParam(), test, o, true));
    Compare(test, o, true);
  }

 private:
  void Compare(const Case& test, const Operands& o, bool in_place = false) {
    const std::vector<double> wanted = Truth(test, o);
    const WinogradShape& s = o.shape;
    const auto what = [&] {
      return "[" + std::to_string(s.batch) + ", " + std::to_string(s.height) + ", " +
             std::to_string(s.width) + ", " + std::to_string(s.cin) + "] to " + std::to_string(s.cout);
    };
    for (int64_t at = 0; at < static_cast<int64_t>(o.y.size()); ++at) {
      const int64_t pixel = (at - test.misalign) / o.ldy, c = (at - test.misalign) % o.ldy;
      const float got = o.y[static_cast<size_t>(at)];
      if (at < test.misalign || c >= s.cout) {
        ASSERT_EQ(got, in_place ? o.residual[static_cast<size_t>(at)] : kGuard) << what() << " wrote beside";
        continue;
      }
      const double truth =
          std::clamp(wanted[static_cast<size_t>(pixel * s.cout + c)], static_cast<double>(test.clamp.low),
                     static_cast<double>(test.clamp.high));
      ASSERT_NEAR(static_cast<double>(got), truth, Tolerance())
          << what() << " pixel " << pixel << " of " << c;
    }
  }
};

TEST_P(WinogradTest, EverySizeOfImage) {
  for (int64_t height = 1; height <= 11; ++height) {
    for (int64_t width = 1; width <= 11; ++width) Check({{1, height, width, 5, 7, 1, 1, 1, 1}});
  }
  for (int64_t size = 3; size <= 11; ++size) Check({{1, size, 14 - size, 5, 7, 0, 0, 0, 0}});
}

TEST_P(WinogradTest, EveryPadding) {
  for (int64_t pads = 0; pads < 81; ++pads)
    Check({{1, 6, 7, 4, 3, pads % 3, pads / 3 % 3, pads / 9 % 3, pads / 27}});
  Check({{1, 2, 3, 4, 3, 7, 8, 9, 10}});  // tiles of nothing but padding
}

TEST_P(WinogradTest, EveryNumberOfChannels) {
  for (int64_t channels = 1; channels <= 35; ++channels) {
    Check({{1, 5, 6, channels, 36 - channels, 1, 1, 1, 1}});
    Check({{1, 5, 6, channels, 2, 1, 1, 1, 1}, false, true});
  }
  for (const int64_t channels : {3, 17, 64, 70}) {
    Case test{{2, 7, 9, channels, 70, 1, 1, 1, 1}};
    test.gap = 3;
    test.misalign = 1;
    test.residual = true;
    Check(test);
  }
  Check({{1, 4, 4, 300, 40, 1, 1, 1, 1}});  // deeper than a GEMM's block
}

TEST_P(WinogradTest, EveryCutIntoBlocksAnswersTheSameBits) {
  std::vector<float> first;
  for (const int threads : {1, 2, 3, 8}) {
    for (const int64_t most_tiles : {0, 1, 5, 12, 13}) {
      Case test{{3, 14, 9, 6, 100, 1, 1, 1, 1}};
      test.threads = threads;
      test.most_tiles = most_tiles;
      Operands o(test);
      ASSERT_NO_FATAL_FAILURE(Compute(*GetParam(), test, o));
      if (first.empty()) {
        Check(test);
        first = o.y;
      }
      ASSERT_EQ(o.y, first) << threads << " threads, " << most_tiles << " tiles";
    }
  }
}

TEST_P(WinogradTest, ClampsAfterBiasAndResidual) {
  for (const bool bias : {false, true}) {
    for (const bool residual : {false, true}) {
      Check({{1, 7, 7, 8, 19, 1, 1, 1, 1}, bias, residual, Clamp::Relu()});
      Check({{1, 7, 7, 8, 19, 1, 1, 1, 1}, bias, residual, {-0.5f, 0.75f}});
      Check({{1, 7, 7, 8, 19, 1, 1, 1, 1}, bias, residual, {-kInf, 0}});
    }
  }
}

TEST_P(WinogradTest, NanStaysInTheTilesThatReadIt) {
  Case test{{1, 8, 12, 3, 20, 1, 1, 1, 1}};
  test.clamp = {0, 6};
  Operands o(test);
  o.x[static_cast<size_t>((1 * 12 + 1) * 3)] = kNan;  // of the first tile only, whose answers are 0 … m - 1
  if (GetParam()->tile == 2) o.x[static_cast<size_t>((1 * 12 + 1) * 3)] = 0, o.x[0] = kNan;
  ASSERT_NO_FATAL_FAILURE(Compute(*GetParam(), test, o));
  for (int64_t pixel = 0; pixel < o.pixels(); ++pixel) {
    const bool hit = pixel / 12 < GetParam()->tile && pixel % 12 < GetParam()->tile;
    for (int64_t c = 0; c < 20; ++c)
      ASSERT_EQ(std::isnan(o.y[static_cast<size_t>(pixel * 20 + c)]), hit) << pixel;
  }
  // A residual's and a bias's are of one answer, or one channel.
  Case added{{1, 8, 12, 3, 20, 1, 1, 1, 1}, true, true, {0, 6}};
  Operands p(added);
  p.residual[5] = kNan;
  p.bias[7] = kNan;
  ASSERT_NO_FATAL_FAILURE(Compute(*GetParam(), added, p));
  for (size_t i = 0; i < p.y.size(); ++i) ASSERT_EQ(std::isnan(p.y[i]), i == 5 || i % 20 == 7) << i;
}

struct Error {
  double rms = 0, most = 0;  // of the answers' root mean square
};

Error ErrorOf(const std::vector<float>& got, const std::vector<double>& truth) {
  double most = 0, squares = 0, size = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    const double error = std::abs(static_cast<double>(got[i]) - truth[i]);
    most = std::max(most, error);
    squares += error * error;
    size += truth[i] * truth[i];
  }
  return {std::sqrt(squares / size), most / std::sqrt(size / static_cast<double>(truth.size()))};
}

// One product of the patches and the weights, [9 cin, cout].
std::vector<float> ProductOfPatches(const Operands& o, Isa isa) {
  const WinogradShape& s = o.shape;
  const int64_t k = 9 * s.cin;
  std::vector<float> patches(static_cast<size_t>(o.pixels() * k), 0.0f);
  std::vector<float> w(static_cast<size_t>(k * s.cout)), y(static_cast<size_t>(o.pixels() * s.cout));
  for (int64_t at = 0; at < o.pixels() * k; ++at) {
    const int64_t pixel = at / k, tap = at % k / s.cin;
    const int64_t row = pixel / s.out_width() + tap / 3 - s.pad_top,
                  column = pixel % s.out_width() + tap % 3 - s.pad_left;
    if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
    patches[static_cast<size_t>(at)] =
        o.x[static_cast<size_t>((row * s.width + column) * s.cin + at % s.cin)];
  }
  for (int64_t at = 0; at < k * s.cout; ++at) {
    const int64_t row = at / s.cout, c = at % s.cout;
    w[static_cast<size_t>(at)] = o.w[static_cast<size_t>((c * s.cin + row % s.cin) * 9 + row / s.cin)];
  }
  const GemmKernel& kernel = PickGemm({o.pixels(), s.cout, k}, Limit(Cpu(), isa));
  const PackedWeights packed = PackWeights(w.data(), s.cout, k, false, 1, kernel.tile.nr);
  GemmArgs args;
  args.m = o.pixels();
  args.n = args.ldc = s.cout;
  args.k = args.lda = k;
  args.a = patches.data();
  args.b = packed.panels.As<float>().data();
  args.c = y.data();
  kernel.run(args);
  return y;
}

TEST_P(WinogradTest, ErrorBesideTheProductOfPatches) {
  const Error most = GetParam()->tile == 2 ? Error{1e-6, 5e-6} : Error{3e-6, 3e-5};
  for (const int64_t channels : {64, 128, 256, 512}) {
    if (GetParam()->isa == Isa::kScalar && channels > 64) break;  // slow, and in the same order
    const Case test{{1, 16, 16, channels, 32, 1, 1, 1, 1}, false};
    Operands o(test);
    ASSERT_NO_FATAL_FAILURE(Compute(*GetParam(), test, o));
    const std::vector<double> truth = Truth(test, o);
    const Error error = ErrorOf(o.y, truth), direct = ErrorOf(ProductOfPatches(o, GetParam()->isa), truth);
    std::printf("%s, %d channels: error %.2g rms, %.2g at most; of patches %.2g and %.2g\n",
                std::string(GetParam()->name).c_str(), static_cast<int>(channels), error.rms, error.most,
                direct.rms, direct.most);
    EXPECT_LT(error.rms, most.rms) << channels;
    EXPECT_LT(error.most, most.most) << channels;
  }
}

INSTANTIATE_TEST_SUITE_P(All, WinogradTest, testing::ValuesIn([] {
                           std::vector<const WinogradKernel*> all;
                           for (const WinogradKernel& kernel : WinogradKernels()) all.push_back(&kernel);
                           return all;
                         }()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

TEST(WinogradDispatch, PicksForCpusThatAreNotHere) {
  const CpuFlags scalar{}, avx2{.avx2 = true}, vnni{.avx2 = true, .avx512 = true, .avx512_vnni = true};
  EXPECT_EQ(PickWinograd(2, scalar).name, "winograd_f32_2x2_scalar");
  EXPECT_EQ(PickWinograd(4, scalar).name, "winograd_f32_4x4_scalar");
#if defined(__x86_64__)
  EXPECT_EQ(PickWinograd(2, avx2).name, "winograd_f32_2x2_avx2");
  EXPECT_EQ(PickWinograd(4, avx2).name, "winograd_f32_4x4_avx2");
  EXPECT_EQ(PickWinograd(4, vnni).name, "winograd_f32_4x4_avx512");
#endif
}

TEST(WinogradDispatch, WhereItPays) {
  EXPECT_EQ(BestWinogradTile({1, 56, 56, 64, 64, 1, 1, 1, 1}), 4);
  EXPECT_EQ(BestWinogradTile({8, 7, 7, 512, 512, 1, 1, 1, 1}), 4);
  EXPECT_EQ(BestWinogradTile({1, 7, 7, 512, 512, 1, 1, 1, 1}), 2);   // weights count
  EXPECT_EQ(BestWinogradTile({1, 224, 224, 3, 64, 1, 1, 1, 1}), 0);  // transforms count
  EXPECT_EQ(BestWinogradTile({1, 1, 1, 512, 512, 1, 1, 1, 1}), 0);
}

TEST(WinogradPlan, BlocksKeepEveryThreadBusyWithinTheirMemory) {
  for (const int threads : {1, 2, 3, 16}) {
    for (const WinogradShape& shape :
         {WinogradShape{1, 56, 56, 64, 64, 1, 1, 1, 1}, WinogradShape{1, 7, 7, 512, 512, 1, 1, 1, 1},
          WinogradShape{8, 28, 28, 128, 128, 1, 1, 1, 1}, WinogradShape{1, 1, 1, 1, 1, 1, 1, 1, 1}}) {
      for (const int64_t tile : {2, 4}) {
        const WinogradPlan plan = PlanWinograd(shape, tile, Cpu(), threads);
        const int64_t tile_blocks = plan.blocks / plan.column_blocks;
        const int64_t tiles = shape.batch * plan.down * plan.across;
        EXPECT_GE(tile_blocks * plan.block_tiles, tiles);
        EXPECT_LT((tile_blocks - 1) * plan.block_tiles, tiles);
        EXPECT_GE(plan.column_blocks * plan.block_columns, shape.cout);
        EXPECT_LT((plan.column_blocks - 1) * plan.block_columns, shape.cout);
        EXPECT_EQ(plan.block_columns % plan.gemm->tile.nr, 0);
        if (shape.cout > 1) {
          EXPECT_GE(plan.blocks, std::min(threads, 2)) << threads;
        }
      }
    }
  }
}

// G w Gᵀ of points 0, ±1 and infinity, by hand: of a lone weight in the middle of the filter.
TEST(PackWinograd, TransformsAndPads) {
  std::vector<float> w(18, 0.0f);
  w[4] = 8;      // answer 0, the middle: (0, ½, -½, 0) down and across
  w[9 + 8] = 3;  // answer 1, the last corner: (0, ½, ½, 1) down and across
  const WinogradWeights packed = PackWinograd(w.data(), 2, 1, 2, 4);
  const auto values = packed.panels.As<float>();
  ASSERT_EQ(packed.panels.shape(), (Shape{16, 1, 1, 4}));
  const float middle[] = {0, 0.5f, -0.5f, 0}, corner[] = {0, 0.5f, 0.5f, 1};
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 4; ++j) {
      const size_t at = (i * 4 + j) * 4;
      EXPECT_EQ(values[at], 8 * middle[i] * middle[j]);
      EXPECT_EQ(values[at + 1], 3 * corner[i] * corner[j]);
      EXPECT_EQ(values[at + 2], 0);
      EXPECT_EQ(values[at + 3], 0);
    }
  }
}

}  // namespace
}  // namespace strop::engine
