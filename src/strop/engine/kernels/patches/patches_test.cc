#include "strop/engine/kernels/patches/patches.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace strop::engine {
namespace {

constexpr uint8_t kGuard = 0xA5;

size_t Size(int64_t count) { return static_cast<size_t>(count); }

class PatchesTest : public testing::TestWithParam<const PatchesKernel*> {
 protected:
  void SetUp() override {
    if (GetParam()->isa > HighestIsa(Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }

  // T: the element. The image's values are its places, so that each of them is known by where it lands.
  template <class T>
  void CheckElement(PatchesArgs args, int64_t misalign, int64_t gap) {
    const Window& w = args.window;
    args.element = sizeof(T);
    args.in_pixel = args.channels + (args.channels_first ? 0 : gap);
    const int64_t depth = w.kernel_h * w.kernel_w * args.channels, rows = args.p1 - args.p0;
    args.out_row = depth + gap;
    args.pad = sizeof(T) == 1 ? 0x7f : 0xff800001;
    std::vector<T> in(Size(w.height * w.width * args.in_pixel + misalign));
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<T>(i * 37 + 1);
    T guard;
    std::memset(&guard, kGuard, sizeof guard);
    constexpr int64_t kBehind = 70;
    std::vector<T> out(Size(rows * args.out_row + misalign + kBehind), guard);
    args.in = in.data() + misalign;
    args.out = out.data() + misalign;
    GetParam()->run(args);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < args.out_row; ++k) {
        T wanted = guard;
        if (k < depth) {
          const int64_t c = k % args.channels, tap = k / args.channels, p = args.p0 + i;
          const int64_t y = p / w.out_w * w.stride_h - w.pad_top + tap / w.kernel_w * w.dilation_h;
          const int64_t x = p % w.out_w * w.stride_w - w.pad_left + tap % w.kernel_w * w.dilation_w;
          const bool inside = y >= 0 && y < w.height && x >= 0 && x < w.width;
          const int64_t at =
              args.channels_first ? (c * w.height + y) * w.width + x : (y * w.width + x) * args.in_pixel + c;
          wanted = inside ? in[Size(misalign + at)] : static_cast<T>(args.pad);
        }
        ASSERT_EQ(out[Size(misalign + i * args.out_row + k)], wanted)
            << GetParam()->name << " row " << i << " element " << k << " of " << sizeof(T)
            << " bytes, channels " << args.channels << (args.channels_first ? " first" : " last") << " of "
            << w.height << "x" << w.width << " kernel " << w.kernel_h << "x" << w.kernel_w << " stride "
            << w.stride_h << "x" << w.stride_w << " dilation " << w.dilation_h << "x" << w.dilation_w
            << " pad " << w.pad_top << " " << w.pad_left;
      }
    }
    for (int64_t i = 0; i < kBehind; ++i)
      ASSERT_EQ(out[out.size() - Size(kBehind - i)], guard) << GetParam()->name << " wrote behind, at " << i;
  }
  void Check(const Window& window, int64_t channels, int64_t p0, int64_t p1, int64_t misalign = 1,
             int64_t gap = 3) {
    for (const bool first : {false, true}) {
      PatchesArgs args;
      args.window = window;
      args.channels = channels;
      args.channels_first = first;
      args.p0 = p0;
      args.p1 = p1;
      for (const int64_t each : {gap, int64_t{0}}) {
        CheckElement<uint8_t>(args, misalign, each);
        CheckElement<uint32_t>(args, misalign, each);
      }
    }
  }
  void CheckWhole(const Window& window, int64_t channels, int64_t misalign = 1, int64_t gap = 3) {
    Check(window, channels, 0, window.out_h * window.out_w, misalign, gap);
  }
};

constexpr Window kThree{.height = 5,
                        .width = 6,
                        .kernel_h = 3,
                        .kernel_w = 3,
                        .pad_top = 1,
                        .pad_left = 1,
                        .out_h = 5,
                        .out_w = 6};

TEST_P(PatchesTest, EveryRemainderOfChannels) {
  for (int64_t channels = 1; channels <= 70; ++channels) CheckWhole(kThree, channels, 1, channels % 2 * 3);
}

TEST_P(PatchesTest, AnyAlignment) {
  for (int64_t offset = 0; offset < 20; ++offset) CheckWhole(kThree, 7, offset, offset);
}

TEST_P(PatchesTest, AnyRangeOfPixels) {
  for (int64_t p0 = 0; p0 <= 30; ++p0)
    for (int64_t p1 = p0; p1 <= 30; p1 += 5) Check(kThree, 3, p0, p1);
}

TEST_P(PatchesTest, EveryKernelStrideDilationAndPadding) {
  for (const int64_t kernel_h : {1, 2, 3, 7})
    for (const int64_t kernel_w : {1, 3, 4})
      for (const int64_t stride : {1, 2, 3})
        for (const int64_t dilation : {1, 2})
          for (const int64_t pad : {0, 1, 4}) {
            Window w{.height = 6,
                     .width = 8,
                     .kernel_h = kernel_h,
                     .kernel_w = kernel_w,
                     .stride_h = stride == 3 ? 1 : stride,
                     .stride_w = stride,
                     .dilation_h = dilation,
                     .dilation_w = kernel_h == 3 ? 1 : dilation,
                     .pad_top = pad,
                     .pad_left = pad / 2};
            w.out_h = w.height + pad + 3 - (kernel_h - 1) * w.dilation_h - 1;
            w.out_w = w.width + pad / 2 + 2 - (kernel_w - 1) * w.dilation_w - 1;
            if (w.out_h < 0 || w.out_w < 0) continue;
            w.out_h = w.out_h / w.stride_h + 1;
            w.out_w = w.out_w / w.stride_w + 1;
            CheckWhole(w, 3);
            CheckWhole(w, 21, 0, 0);
          }
}

TEST_P(PatchesTest, WindowsWithNothingInside) {
  CheckWhole({.height = 1,
              .width = 1,
              .kernel_h = 2,
              .kernel_w = 2,
              .pad_top = 5,
              .pad_left = 5,
              .out_h = 10,
              .out_w = 10},
             5);
}

TEST_P(PatchesTest, RowsLongerThanAStripAndChannelsBeyondIt) {
  CheckWhole({.height = 4,
              .width = 700,
              .kernel_h = 3,
              .kernel_w = 3,
              .stride_w = 2,
              .pad_top = 1,
              .pad_left = 1,
              .out_h = 2,
              .out_w = 350},
             9);
  CheckWhole({.height = 3,
              .width = 3,
              .kernel_h = 3,
              .kernel_w = 3,
              .pad_top = 1,
              .pad_left = 1,
              .out_h = 3,
              .out_w = 3},
             4000);
}

INSTANTIATE_TEST_SUITE_P(All, PatchesTest, testing::ValuesIn([] {
                           std::vector<const PatchesKernel*> all;
                           for (const PatchesKernel& kernel : PatchesKernels()) all.push_back(&kernel);
                           return all;
                         }()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

TEST(PatchesDispatch, PicksForCpusThatAreNotHere) {
  EXPECT_EQ(PickPatches({}).name, "patches_scalar");
#if defined(__x86_64__)
  EXPECT_EQ(PickPatches({.avx2 = true}).name, "patches_avx2");
  EXPECT_EQ(PickPatches({.avx2 = true, .avx512 = true, .avx512_vnni = true}).name, "patches_avx512");
#endif
}

}  // namespace
}  // namespace strop::engine
