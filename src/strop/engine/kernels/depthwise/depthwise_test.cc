#include "strop/engine/kernels/depthwise/depthwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace strop::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr uint8_t kGuard = 0xA5;

// An image with its operands off alignment and a gap between its pixels. out_h and out_w follow from the
// padding below and to the right.
struct Case {
  Window window{.height = 5, .width = 7, .kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1};
  int64_t pad_bottom = 1, pad_right = 1;
  int64_t channels = 19;
  int64_t misalign = 1, gap = 3;  // elements
  bool bias = true;               // correction
  bool is_signed = false;
  int32_t in_zero = 7;
  Int8Output output = Int8Output::kS32;
  float low = -kInf, high = kInf;
  int32_t zero = 0;

  // Whether an output is left.
  bool Finish() {
    Window& w = window;
    w.out_h = w.height + w.pad_top + pad_bottom - (w.kernel_h - 1) * w.dilation_h - 1;
    w.out_w = w.width + w.pad_left + pad_right - (w.kernel_w - 1) * w.dilation_w - 1;
    if (w.out_h < 0 || w.out_w < 0) return false;
    w.out_h = w.out_h / w.stride_h + 1;
    w.out_w = w.out_w / w.stride_w + 1;
    return true;
  }
  int64_t Pixels() const { return window.height * window.width; }
  int64_t Outputs() const { return window.out_h * window.out_w; }
  int64_t Taps() const { return window.kernel_h * window.kernel_w; }
  std::string Text() const {
    const Window& w = window;
    std::string text;
    for (const int64_t value : {w.height, w.width, channels, w.kernel_h, w.kernel_w, w.stride_h, w.stride_w,
                                w.dilation_h, w.dilation_w, w.pad_top, w.pad_left, pad_bottom, pad_right})
      text += std::to_string(value) + " ";
    return text + (is_signed ? "signed " : "unsigned ") + std::to_string(static_cast<int>(output));
  }
};

// For each tap of [oy, ox] inside the image: its number and its pixel.
template <class Each>
void Taps(const Window& w, int64_t oy, int64_t ox, Each each) {
  for (int64_t y = 0; y < w.kernel_h; ++y) {
    for (int64_t x = 0; x < w.kernel_w; ++x) {
      const int64_t iy = oy * w.stride_h - w.pad_top + y * w.dilation_h;
      const int64_t ix = ox * w.stride_w - w.pad_left + x * w.dilation_w;
      if (iy >= 0 && iy < w.height && ix >= 0 && ix < w.width) each(y * w.kernel_w + x, iy * w.width + ix);
    }
  }
}

size_t Size(int64_t count) { return static_cast<size_t>(count); }

// Calls `check` with windows of every kernel, stride, dilation and padding that make an output.
template <class Check>
void EveryWindow(Check check) {
  for (const int64_t kernel_h : {1, 2, 3, 5, 7})
    for (const int64_t kernel_w : {1, 3, 4, 5})
      for (const int64_t stride : {1, 2, 3})
        for (const int64_t dilation : {1, 2})
          for (const int64_t pad : {0, 1, 3}) {
            Case test;
            test.window = {.height = 9,
                           .width = 11,
                           .kernel_h = kernel_h,
                           .kernel_w = kernel_w,
                           .stride_h = stride == 3 ? 1 : stride,
                           .stride_w = stride,
                           .dilation_h = dilation,
                           .dilation_w = dilation == 2 && kernel_h == 3 ? 1 : dilation,
                           .pad_top = pad,
                           .pad_left = pad / 2};
            test.pad_bottom = pad / 3;
            test.pad_right = pad;
            if (test.Finish()) check(test);
          }
}

// Narrow images, of which padding may be most.
template <class Check>
void EverySize(Check check) {
  for (int64_t height = 1; height <= 4; ++height)
    for (int64_t width = 1; width <= 13; ++width)
      for (const int64_t stride : {1, 2})
        for (const int64_t pad : {1, 4}) {
          Case test;
          test.window = {.height = height,
                         .width = width,
                         .kernel_h = 3,
                         .kernel_w = 3,
                         .stride_h = stride,
                         .stride_w = stride,
                         .pad_top = pad,
                         .pad_left = pad};
          test.pad_bottom = test.pad_right = pad;
          if (test.Finish()) check(test);
        }
}

struct FloatOperands {
  std::vector<float> in, weights, bias, out;
};

FloatOperands MakeFloat(const Case& test) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  FloatOperands o;
  o.in.resize(Size(test.Pixels() * (test.channels + test.gap) + test.misalign));
  o.weights.resize(Size(test.Taps() * test.channels));
  o.bias.resize(Size(test.channels + test.misalign));
  for (std::vector<float>* values : {&o.in, &o.weights, &o.bias})
    for (float& value : *values) value = uniform(generator);
  o.out.assign(Size(test.Outputs() * (test.channels + test.gap) + test.misalign), -12345.0f);
  return o;
}

void ComputeFloat(const DepthwiseKernel& kernel, const Case& test, FloatOperands& o, int64_t blocks = 1) {
  const Tensor packed =
      PackDepthwise(o.weights.data(), test.channels, test.window.kernel_h, test.window.kernel_w);
  DepthwiseArgs args;
  args.window = test.window;
  args.channels = test.channels;
  args.in = o.in.data() + test.misalign;
  args.in_pixel = args.out_pixel = test.channels + test.gap;
  args.weights = packed.As<float>().data();
  args.bias = test.bias ? o.bias.data() + test.misalign : nullptr;
  args.low = test.low;
  args.high = test.high;
  args.out = o.out.data() + test.misalign;
  for (int64_t block = 0; block < blocks; ++block) {
    args.row0 = test.window.out_h * block / blocks;
    args.row1 = test.window.out_h * (block + 1) / blocks;
    kernel.run(args);
  }
}

// Tolerance: each product and sum rounds once, to half an epsilon of the sum of magnitudes.
void ExpectFloat(const Case& test, const FloatOperands& o, const std::string& what) {
  const int64_t pixel = test.channels + test.gap;
  for (int64_t at = 0; at < test.Outputs(); ++at) {
    for (int64_t c = 0; c < pixel; ++c) {
      const float got = o.out[Size(test.misalign + at * pixel + c)];
      if (c >= test.channels) {
        ASSERT_EQ(got, -12345.0f) << what << " wrote past pixel " << at << " of " << test.Text();
        continue;
      }
      double sum = test.bias ? static_cast<double>(o.bias[Size(test.misalign + c)]) : 0;
      double magnitude = std::abs(sum);
      Taps(test.window, at / test.window.out_w, at % test.window.out_w, [&](int64_t tap, int64_t from) {
        const double product = static_cast<double>(o.in[Size(test.misalign + from * pixel + c)]) *
                               static_cast<double>(o.weights[Size(c * test.Taps() + tap)]);
        sum += product;
        magnitude += std::abs(product);
      });
      sum = std::clamp(sum, static_cast<double>(test.low), static_cast<double>(test.high));
      ASSERT_NEAR(static_cast<double>(got), sum,
                  static_cast<double>(test.Taps() + 2) * 6e-8 * magnitude + 1e-30)
          << what << " pixel " << at << " channel " << c << " of " << test.Text();
    }
  }
}

class DepthwiseTest : public testing::TestWithParam<const DepthwiseKernel*> {
 protected:
  void SetUp() override {
    if (GetParam()->isa > HighestIsa(Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }
  void Check(Case test, int64_t blocks = 1) {
    ASSERT_TRUE(test.Finish());
    FloatOperands o = MakeFloat(test);
    ComputeFloat(*GetParam(), test, o, blocks);
    ExpectFloat(test, o, std::string(GetParam()->name));
  }
};

TEST_P(DepthwiseTest, EveryRemainderOfChannels) {
  for (int64_t channels = 1; channels <= 70; ++channels) Check({.channels = channels});
}

TEST_P(DepthwiseTest, EveryKernelStrideDilationAndPadding) {
  EveryWindow([&](const Case& test) { Check(test); });
}

TEST_P(DepthwiseTest, EverySizeAndPaddingBeyondTheImage) {
  EverySize([&](const Case& test) { Check(test); });
}

TEST_P(DepthwiseTest, AnyAlignmentNoBiasAndClamps) {
  for (int64_t offset = 0; offset < 16; ++offset)
    Check({.misalign = offset, .gap = offset, .bias = offset % 2 == 0, .low = 0, .high = 0.5f});
}

TEST_P(DepthwiseTest, BlocksOfRowsMakeTheWhole) {
  for (int64_t blocks = 1; blocks <= 7; ++blocks) Check({.channels = 40}, blocks);
}

TEST_P(DepthwiseTest, ExtremesFollowIeee) {
  struct {
    float in, weight, plain, relu6;
  } const cases[] = {{kInf, 1, kInf, 6},         {-kInf, 1, -kInf, 0}, {kNan, 1, kNan, kNan},
                     {kInf, 0, kNan, kNan},      {3e38f, 2, kInf, 6},  {-2, 2, -4, 0},
                     {1e-44f, 1, 1e-44f, 1e-44f}};
  for (const auto& x : cases) {
    for (const bool clamp : {false, true}) {
      Case test{.channels = 21, .misalign = 0, .bias = false};
      test.window = {.height = 1, .width = 1, .kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1};
      if (clamp) test.low = 0, test.high = 6;
      ASSERT_TRUE(test.Finish());
      FloatOperands o = MakeFloat(test);
      std::fill(o.in.begin(), o.in.end(), x.in);
      std::fill(o.weights.begin(), o.weights.end(), x.weight);
      ComputeFloat(*GetParam(), test, o);
      const float wanted = clamp ? x.relu6 : x.plain;
      for (int64_t c = 0; c < test.channels; ++c) {
        if (std::isnan(wanted)) {
          EXPECT_TRUE(std::isnan(o.out[Size(c)])) << x.in << " * " << x.weight << " gave " << o.out[Size(c)];
        } else {
          EXPECT_EQ(o.out[Size(c)], wanted) << x.in << " * " << x.weight << " clamped " << clamp;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, DepthwiseTest, testing::ValuesIn([] {
                           std::vector<const DepthwiseKernel*> all;
                           for (const DepthwiseKernel& kernel : DepthwiseKernels()) all.push_back(&kernel);
                           return all;
                         }()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

struct ByteOperands {
  std::vector<uint8_t> in, out;
  std::vector<int8_t> weights;
  std::vector<int32_t> correction;
  std::vector<float> scale, offset;
};

int64_t Bytes(Int8Output output) { return output == Int8Output::kS32 || output == Int8Output::kF32 ? 4 : 1; }

ByteOperands MakeBytes(const Case& test, uint32_t seed = 1) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<int> byte(0, 255), some(-9999, 9999);
  std::uniform_real_distribution<float> near(-1, 1);
  ByteOperands o;
  o.in.resize(Size(test.Pixels() * (test.channels + test.gap) + test.misalign));
  o.weights.resize(Size(test.Taps() * test.channels));
  o.out.assign(Size((test.Outputs() * (test.channels + test.gap) + test.misalign) * Bytes(test.output)),
               kGuard);
  for (uint8_t& value : o.in) value = static_cast<uint8_t>(byte(generator));
  for (int8_t& value : o.weights) value = static_cast<int8_t>(byte(generator) - 128);
  for (int64_t i = 0; i < test.channels; ++i) {
    o.correction.push_back(some(generator));
    o.scale.push_back(std::ldexp(near(generator), -8));
    o.offset.push_back(20 * near(generator));
  }
  return o;
}

void ComputeBytes(const Int8DepthwiseKernel& kernel, const Case& test, ByteOperands& o, int64_t blocks = 1) {
  const PackedInt8Depthwise packed =
      PackInt8Depthwise(o.weights.data(), test.channels, test.window.kernel_h, test.window.kernel_w, kernel);
  Int8DepthwiseArgs args;
  args.window = test.window;
  args.channels = test.channels;
  args.in = o.in.data() + test.misalign;
  args.in_pixel = args.out_pixel = test.channels + test.gap;
  args.is_signed = test.is_signed;
  args.in_zero = test.in_zero;
  args.weights = packed.weights.As<int8_t>().data();
  args.sums = packed.sums.data();
  args.correction = test.bias ? o.correction.data() : nullptr;
  args.scale = o.scale.data();
  args.offset = o.offset.data();
  args.low = test.low;
  args.high = test.high;
  args.zero = test.zero;
  args.output = test.output;
  args.out = o.out.data() + test.misalign * Bytes(test.output);
  for (int64_t block = 0; block < blocks; ++block) {
    args.row0 = test.window.out_h * block / blocks;
    args.row1 = test.window.out_h * (block + 1) / blocks;
    kernel.run(args);
  }
}

// The bits of an output, by the words of args.h.
uint32_t Wanted(const Case& test, const ByteOperands& o, int64_t at, int64_t c) {
  int64_t sum = test.bias ? o.correction[Size(c)] : 0;
  Taps(test.window, at / test.window.out_w, at % test.window.out_w, [&](int64_t tap, int64_t from) {
    const uint8_t byte = o.in[Size(test.misalign + from * (test.channels + test.gap) + c)];
    sum += ((test.is_signed ? static_cast<int8_t>(byte) : byte) - test.in_zero) *
           o.weights[Size(c * test.Taps() + tap)];
  });
  if (test.output == Int8Output::kS32) return static_cast<uint32_t>(sum);
  volatile float product =
      static_cast<float>(static_cast<int32_t>(sum)) * o.scale[Size(c)];  // no fused multiply-add
  float y = product + o.offset[Size(c)];
  if (y < test.low) y = test.low;
  if (y > test.high) y = test.high;
  if (test.output == Int8Output::kF32) {
    uint32_t bits;
    std::memcpy(&bits, &y, sizeof bits);
    return bits;
  }
  const double low = test.output == Int8Output::kS8 ? -128 : 0, high = low + 255;
  if (std::isnan(y)) return static_cast<uint8_t>(static_cast<int>(low));
  const double q = std::nearbyint(static_cast<double>(y)) + test.zero;
  return static_cast<uint8_t>(static_cast<int>(std::clamp(q, low, high)));
}

void ExpectBits(const Case& test, const ByteOperands& o, const std::string& what) {
  const int64_t pixel = test.channels + test.gap, size = Bytes(test.output);
  for (int64_t at = 0; at < test.Outputs(); ++at) {
    for (int64_t c = 0; c < pixel; ++c) {
      uint32_t got = 0, wanted = 0;
      std::memcpy(&got, o.out.data() + (test.misalign + at * pixel + c) * size, Size(size));
      std::memset(&wanted, kGuard, Size(size));
      if (c < test.channels) wanted = Wanted(test, o, at, c);
      ASSERT_EQ(got, wanted) << what << " pixel " << at << " channel " << c << " of " << test.Text();
    }
  }
}

class DepthwiseInt8Test : public testing::TestWithParam<const Int8DepthwiseKernel*> {
 protected:
  void SetUp() override {
    if (GetParam()->isa > HighestIsa(Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }
  void Check(Case test, int64_t blocks = 1) {
    ASSERT_TRUE(test.Finish());
    ByteOperands o = MakeBytes(test);
    ComputeBytes(*GetParam(), test, o, blocks);
    ExpectBits(test, o, std::string(GetParam()->name));
  }
};

TEST_P(DepthwiseInt8Test, EveryRemainderOfChannels) {
  for (int64_t channels = 1; channels <= 200; ++channels)
    Check({.channels = channels, .output = channels % 2 == 0 ? Int8Output::kU8 : Int8Output::kS32});
}

TEST_P(DepthwiseInt8Test, EveryKernelStrideDilationAndPadding) {
  EveryWindow([&](Case test) {
    test.channels = 37;
    Check(test);
    test.is_signed = true;
    test.in_zero = -31;
    Check(test);
  });
}

TEST_P(DepthwiseInt8Test, EverySizeAndPaddingBeyondTheImage) {
  EverySize([&](const Case& test) { Check(test); });
}

TEST_P(DepthwiseInt8Test, EveryOutputAndClamp) {
  for (const Int8Output output : {Int8Output::kS32, Int8Output::kF32, Int8Output::kU8, Int8Output::kS8})
    for (const auto& [low, high] : {std::pair{-kInf, kInf}, {0.0f, kInf}, {0.0f, 6.5f}, {-1e9f, 90.0f}})
      for (const bool is_signed : {false, true})
        for (const int32_t zero : {0, 121, -3, 255, -128}) {
          if (output == Int8Output::kU8 ? zero < 0 : zero > 127) continue;
          Check({.channels = 83,
                 .is_signed = is_signed,
                 .in_zero = is_signed ? -128 : 255,
                 .output = output,
                 .low = low,
                 .high = high,
                 .zero = zero});
        }
}

TEST_P(DepthwiseInt8Test, AnyAlignmentAndNoCorrection) {
  for (int64_t offset = 0; offset < 20; ++offset)
    Check({.channels = 70, .misalign = offset, .gap = offset, .bias = offset % 2 == 0});
}

TEST_P(DepthwiseInt8Test, BlocksOfRowsMakeTheWhole) {
  for (int64_t blocks = 1; blocks <= 7; ++blocks) Check({.channels = 40}, blocks);
}

TEST_P(DepthwiseInt8Test, TheLargestBytesDoNotSaturate) {
  for (const bool is_signed : {false, true}) {
    for (const int weight : {127, -128}) {
      Case test{.channels = 67, .is_signed = is_signed, .in_zero = is_signed ? 127 : 0};
      ASSERT_TRUE(test.Finish());
      ByteOperands o = MakeBytes(test);
      std::fill(o.in.begin(), o.in.end(), static_cast<uint8_t>(is_signed ? -128 : 255));
      std::fill(o.weights.begin(), o.weights.end(), static_cast<int8_t>(weight));
      ComputeBytes(*GetParam(), test, o);
      ExpectBits(test, o, std::string(GetParam()->name));
    }
  }
}

TEST_P(DepthwiseInt8Test, TiesGoToTheEvenAndWhatIsBeyondSaturates) {
  // The sum is the correction; half of it is the answer.
  for (const Int8Output output : {Int8Output::kU8, Int8Output::kS8}) {
    Case test{.channels = 11, .output = output, .zero = 10};
    ASSERT_TRUE(test.Finish());
    ByteOperands o = MakeBytes(test);
    std::fill(o.weights.begin(), o.weights.end(), int8_t{0});
    std::fill(o.scale.begin(), o.scale.end(), 0.5f);
    std::fill(o.offset.begin(), o.offset.end(), 0.0f);
    o.correction = {1, 3, 5, -1, -3, -1000, 1000, std::numeric_limits<int32_t>::max(), -21, 2, 7};
    o.scale[9] = kInf;
    o.scale[10] = kNan;
    ComputeBytes(*GetParam(), test, o);
    ExpectBits(test, o, std::string(GetParam()->name));
    if (output == Int8Output::kS8) continue;
    const std::vector<uint8_t> got(o.out.begin() + test.misalign, o.out.begin() + test.misalign + 11);
    // 0.5, 1.5, 2.5, -0.5, -1.5 to the even, plus 10; -10.5 is -10.
    EXPECT_EQ(got, (std::vector<uint8_t>{10, 12, 12, 10, 8, 0, 255, 255, 0, 255, 0}));
  }
}

INSTANTIATE_TEST_SUITE_P(All, DepthwiseInt8Test, testing::ValuesIn([] {
                           std::vector<const Int8DepthwiseKernel*> all;
                           for (const Int8DepthwiseKernel& kernel : Int8DepthwiseKernels())
                             all.push_back(&kernel);
                           return all;
                         }()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

TEST(DepthwiseDispatch, PicksForCpusThatAreNotHere) {
  const CpuFlags scalar{}, avx2{.avx2 = true}, avx512{.avx2 = true, .avx512 = true},
      vnni{.avx2 = true, .avx512 = true, .avx512_vnni = true};
  EXPECT_EQ(PickDepthwise(scalar).name, "depthwise_f32_scalar");
  EXPECT_EQ(PickInt8Depthwise(scalar).name, "depthwise_u8s8_scalar");
#if defined(__x86_64__)
  EXPECT_EQ(PickDepthwise(avx2).name, "depthwise_f32_avx2");
  EXPECT_EQ(PickDepthwise(vnni).name, "depthwise_f32_avx512");
  EXPECT_EQ(PickInt8Depthwise(avx2).name, "depthwise_u8s8_avx2");
  EXPECT_EQ(PickInt8Depthwise(avx512).name, "depthwise_u8s8_avx512");
  EXPECT_EQ(PickInt8Depthwise(vnni).name, "depthwise_u8s8_avx512vnni");
#endif
}

TEST(DepthwisePack, FloatsAreTapsOfPaddedAndScaledChannels) {
  const std::vector<float> weights = {1, 2, 3, 4};  // 2 channels of a 1 × 2 kernel
  const Tensor packed = PackDepthwise(weights.data(), 2, 1, 2, 2);
  EXPECT_EQ(packed.shape(), (Shape{2, 16}));
  const auto values = packed.As<float>();
  EXPECT_EQ(values[0], 2);
  EXPECT_EQ(values[1], 6);
  EXPECT_EQ(values[2], 0);
  EXPECT_EQ(values[16], 4);
  EXPECT_EQ(values[17], 8);
}

}  // namespace
}  // namespace strop::engine
