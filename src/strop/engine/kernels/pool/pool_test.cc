#include "strop/engine/kernels/pool/pool.h"

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

size_t Size(int64_t count) { return static_cast<size_t>(count); }

struct Case {
  Window window{.height = 6,
                .width = 7,
                .kernel_h = 3,
                .kernel_w = 3,
                .stride_h = 2,
                .stride_w = 2,
                .pad_top = 1,
                .pad_left = 1};
  int64_t pad_bottom = 1, pad_right = 1;
  bool ceil = false;
  int64_t channels = 19, misalign = 1, gap = 3;

  bool Finish() {
    Window& w = window;
    w.out_h = w.height + w.pad_top + pad_bottom - (w.kernel_h - 1) * w.dilation_h - 1;
    w.out_w = w.width + w.pad_left + pad_right - (w.kernel_w - 1) * w.dilation_w - 1;
    if (w.out_h < 0 || w.out_w < 0) return false;
    w.out_h = (w.out_h + (ceil ? w.stride_h - 1 : 0)) / w.stride_h + 1;
    w.out_w = (w.out_w + (ceil ? w.stride_w - 1 : 0)) / w.stride_w + 1;
    return true;
  }
  std::string Text() const {
    const Window& w = window;
    std::string text;
    for (const int64_t value : {w.height, w.width, channels, w.kernel_h, w.kernel_w, w.stride_h, w.stride_w,
                                w.dilation_h, w.dilation_w, w.pad_top, w.pad_left, pad_bottom, pad_right})
      text += std::to_string(value) + " ";
    return text;
  }
};

// Calls each(pixel or -1 for padding) for the taps that count.
template <class Each>
void Taps(const Case& test, int64_t at, Each each) {
  const Window& w = test.window;
  for (int64_t y = 0; y < w.kernel_h; ++y) {
    for (int64_t x = 0; x < w.kernel_w; ++x) {
      const int64_t iy = at / w.out_w * w.stride_h - w.pad_top + y * w.dilation_h;
      const int64_t ix = at % w.out_w * w.stride_w - w.pad_left + x * w.dilation_w;
      if (iy >= 0 && iy < w.height && ix >= 0 && ix < w.width) {
        each(iy * w.width + ix);
      } else if (iy < w.height + test.pad_bottom && ix < w.width + test.pad_right) {
        each(-1);
      }
    }
  }
}

template <class T>
std::vector<T> Random(int64_t size, uint32_t seed = 1) {
  std::mt19937 generator(seed);
  std::vector<T> values(Size(size));
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (T& value : values)
    value = sizeof(T) == 1 ? static_cast<T>(generator() % 256) : static_cast<T>(uniform(generator));
  return values;
}

class PoolTest : public testing::TestWithParam<const PoolKernel*> {
 protected:
  void SetUp() override {
    if (GetParam()->isa > HighestIsa(Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }

  template <class T>
  void CheckMax(const Case& test, int64_t blocks = 1) {
    const int64_t pixel = test.channels + test.gap, outputs = test.window.out_h * test.window.out_w;
    const std::vector<T> in = Random<T>(test.window.height * test.window.width * pixel + test.misalign);
    std::vector<T> out(Size(outputs * pixel + test.misalign), T{77});
    MaxPoolArgs args;
    args.window = test.window;
    args.channels = test.channels;
    args.element = sizeof(T) == 4        ? PoolElement::kF32
                   : std::is_signed_v<T> ? PoolElement::kS8
                                         : PoolElement::kU8;
    args.in = in.data() + test.misalign;
    args.in_pixel = args.out_pixel = pixel;
    args.out = out.data() + test.misalign;
    for (int64_t block = 0; block < blocks; ++block) {
      args.row0 = test.window.out_h * block / blocks;
      args.row1 = test.window.out_h * (block + 1) / blocks;
      GetParam()->max(args);
    }
    for (int64_t at = 0; at < outputs; ++at) {
      for (int64_t c = 0; c < pixel; ++c) {
        T wanted{77};
        if (c < test.channels) {
          wanted = sizeof(T) == 4 ? static_cast<T>(-kInf) : std::numeric_limits<T>::lowest();
          Taps(test, at, [&](int64_t from) {
            if (from >= 0) wanted = std::max(wanted, in[Size(test.misalign + from * pixel + c)]);
          });
        }
        ASSERT_EQ(out[Size(test.misalign + at * pixel + c)], wanted)
            << GetParam()->name << " pixel " << at << " channel " << c << " of " << test.Text();
      }
    }
  }

  void CheckAverage(const Case& test, bool count_padding, int64_t blocks = 1) {
    const int64_t pixel = test.channels + test.gap, outputs = test.window.out_h * test.window.out_w;
    const std::vector<float> in =
        Random<float>(test.window.height * test.window.width * pixel + test.misalign);
    std::vector<float> out(Size(outputs * pixel + test.misalign), 77);
    AveragePoolArgs args;
    args.window = test.window;
    args.pad_bottom = test.pad_bottom;
    args.pad_right = test.pad_right;
    args.count_padding = count_padding;
    args.channels = test.channels;
    args.in = in.data() + test.misalign;
    args.in_pixel = args.out_pixel = pixel;
    args.out = out.data() + test.misalign;
    for (int64_t block = 0; block < blocks; ++block) {
      args.row0 = test.window.out_h * block / blocks;
      args.row1 = test.window.out_h * (block + 1) / blocks;
      GetParam()->average(args);
    }
    for (int64_t at = 0; at < outputs; ++at) {
      for (int64_t c = 0; c < pixel; ++c) {
        double wanted = 77;
        if (c < test.channels) {
          double sum = 0, count = 0;
          Taps(test, at, [&](int64_t from) {
            if (from >= 0) sum += static_cast<double>(in[Size(test.misalign + from * pixel + c)]);
            if (from >= 0 || count_padding) ++count;
          });
          wanted = count > 0 ? sum / count : 0;
        }
        ASSERT_NEAR(static_cast<double>(out[Size(test.misalign + at * pixel + c)]), wanted, 1e-6)
            << GetParam()->name << " pixel " << at << " channel " << c << " of " << test.Text();
      }
    }
  }

  void CheckAll(Case test, int64_t blocks = 1) {
    ASSERT_TRUE(test.Finish());
    CheckMax<float>(test, blocks);
    CheckMax<uint8_t>(test, blocks);
    CheckMax<int8_t>(test, blocks);
    CheckAverage(test, false, blocks);
    CheckAverage(test, true, blocks);
  }

  // Bytes, by the words of args.h.
  void CheckGlobal(int64_t pixels, int64_t channels, bool is_signed, Int8Output output, int32_t zero,
                   float scale, float offset, int64_t misalign = 1, int64_t gap = 3) {
    const int64_t pixel = channels + gap,
                  size = output == Int8Output::kF32 || output == Int8Output::kS32 ? 4 : 1;
    const std::vector<uint8_t> in = Random<uint8_t>(pixels * pixel + misalign);
    std::vector<uint8_t> out(Size((channels + gap) * size), 0xA5);
    GlobalPoolArgs args;
    args.pixels = pixels;
    args.channels = channels;
    args.element = is_signed ? PoolElement::kS8 : PoolElement::kU8;
    args.in = in.data() + misalign;
    args.in_pixel = pixel;
    args.correction = -17;
    args.scale = scale;
    args.offset = offset;
    args.zero = zero;
    args.output = output;
    args.out = out.data();
    GetParam()->global(args);
    for (int64_t c = 0; c < pixel; ++c) {
      uint32_t got = 0, wanted = 0;
      std::memcpy(&got, out.data() + c * size, Size(size));
      std::memset(&wanted, 0xA5, Size(size));
      if (c < channels) {
        int32_t sum = args.correction;
        for (int64_t i = 0; i < pixels; ++i) {
          const uint8_t byte = in[Size(misalign + i * pixel + c)];
          sum += is_signed ? static_cast<int8_t>(byte) : byte;
        }
        volatile float product = static_cast<float>(sum) * scale;  // no fused multiply-add
        const float y = product + offset;
        if (output == Int8Output::kS32) {
          wanted = static_cast<uint32_t>(sum);
        } else if (output == Int8Output::kF32) {
          std::memcpy(&wanted, &y, sizeof y);
        } else {
          const double low = output == Int8Output::kS8 ? -128 : 0;
          wanted = static_cast<uint8_t>(
              static_cast<int>(std::clamp(std::nearbyint(static_cast<double>(y)) + zero, low, low + 255)));
        }
      }
      ASSERT_EQ(got, wanted) << GetParam()->name << " channel " << c << " of " << channels << ", " << pixels
                             << " pixels, output " << static_cast<int>(output);
    }
  }
};

TEST_P(PoolTest, EveryRemainderOfChannels) {
  for (int64_t channels = 1; channels <= 70; ++channels) CheckAll({.channels = channels});
  for (const int64_t channels : {127, 128, 129, 255, 256, 257, 321}) CheckAll({.channels = channels});
}

TEST_P(PoolTest, AnyAlignment) {
  for (int64_t offset = 0; offset < 20; ++offset)
    CheckAll({.channels = 70, .misalign = offset, .gap = offset});
}

TEST_P(PoolTest, EveryKernelStrideDilationAndPadding) {
  for (const int64_t kernel_h : {1, 2, 3, 7})
    for (const int64_t kernel_w : {1, 3, 4})
      for (const int64_t stride : {1, 2, 3})
        for (const int64_t dilation : {1, 2})
          for (const int64_t pad : {0, 1, 4})
            for (const bool ceil : {false, true}) {
              Case test{.window = {.height = 6,
                                   .width = 8,
                                   .kernel_h = kernel_h,
                                   .kernel_w = kernel_w,
                                   .stride_h = stride == 3 ? 1 : stride,
                                   .stride_w = stride,
                                   .dilation_h = dilation,
                                   .dilation_w = kernel_h == 3 ? 1 : dilation,
                                   .pad_top = pad,
                                   .pad_left = pad / 2},
                        .pad_bottom = pad / 3,
                        .pad_right = pad,
                        .ceil = ceil};
              if (test.Finish()) CheckAll(test);
            }
}

TEST_P(PoolTest, BlocksOfRowsMakeTheWhole) {
  for (int64_t blocks = 1; blocks <= 5; ++blocks) CheckAll({.channels = 40}, blocks);
}

TEST_P(PoolTest, TheGreatestIsNeverNaN) {
  std::vector<float> in(4 * 17, kNan), out(17);
  in[17] = -3;      // channel 0 of pixel 1
  in[2 * 17] = 2;   // and of pixel 2
  in[16] = -kInf;   // channel 16 of pixel 0
  in[33] = 1e-42f;  // and of pixel 1
  MaxPoolArgs args;
  args.window = {.height = 2, .width = 2, .kernel_h = 2, .kernel_w = 2, .out_h = 1, .out_w = 1};
  args.channels = args.in_pixel = args.out_pixel = 17;
  args.in = in.data();
  args.out = out.data();
  args.row1 = 1;
  GetParam()->max(args);
  EXPECT_EQ(out[0], 2);
  EXPECT_EQ(out[1], -kInf);
  EXPECT_EQ(out[16], 1e-42f);
}

TEST_P(PoolTest, GlobalOfFloats) {
  for (int64_t channels = 1; channels <= 70; ++channels) {
    for (const int64_t pixels : {1, 2, 49}) {
      const int64_t pixel = channels + 3;
      const std::vector<float> in = Random<float>(pixels * pixel + 1);
      std::vector<float> out(Size(channels + 1), 77);
      GlobalPoolArgs args;
      args.pixels = pixels;
      args.channels = channels;
      args.in = in.data() + 1;
      args.in_pixel = pixel;
      args.out = out.data();
      GetParam()->global(args);
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0;
        for (int64_t i = 0; i < pixels; ++i) sum += static_cast<double>(in[Size(1 + i * pixel + c)]);
        ASSERT_NEAR(static_cast<double>(out[Size(c)]), sum / static_cast<double>(pixels), 1e-6)
            << GetParam()->name << " " << channels;
      }
      ASSERT_EQ(out[Size(channels)], 77);
    }
  }
}

TEST_P(PoolTest, GlobalOfBytes) {
  for (const Int8Output output : {Int8Output::kS32, Int8Output::kF32, Int8Output::kU8, Int8Output::kS8})
    for (const bool is_signed : {false, true})
      for (int64_t channels = 1; channels <= 70; ++channels) {
        const int32_t zero = output == Int8Output::kU8 ? 121 : -3;
        CheckGlobal(49, channels, is_signed, output, zero, 1.0f / 49 / 1.3f, 0.25f, channels, channels % 5);
        CheckGlobal(3, channels, is_signed, output, zero, 1e9f, 0);  // beyond every byte
        CheckGlobal(1, channels, is_signed, output, zero, 0.5f, 0);  // ties
      }
}

INSTANTIATE_TEST_SUITE_P(All, PoolTest, testing::ValuesIn([] {
                           std::vector<const PoolKernel*> all;
                           for (const PoolKernel& kernel : PoolKernels()) all.push_back(&kernel);
                           return all;
                         }()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

TEST(PoolDispatch, PicksForCpusThatAreNotHere) {
  EXPECT_EQ(PickPool({}).name, "pool_scalar");
#if defined(__x86_64__)
  EXPECT_EQ(PickPool({.avx2 = true}).name, "pool_avx2");
  EXPECT_EQ(PickPool({.avx2 = true, .avx512 = true, .avx512_vnni = true}).name, "pool_avx512");
#endif
}

}  // namespace
}  // namespace strop::engine
