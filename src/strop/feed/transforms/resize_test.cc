#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/feed/transforms/resample.h"
#include "strop/feed/transforms/test_rows.h"

namespace strop::feed {
namespace {

using testing::ElementsAreArray;
using testing::FloatNear;
using testing::HasSubstr;
using testing::Pointwise;

// value = (37 y + 53 x + 11 x y) mod 256, the picture that the known values below were made from.
template <class T>
Row<T> Picture() {
  Row<T> row{{1, 5, 7}, {}};
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 7; ++x) row.values.push_back(static_cast<T>((y * 37 + x * 53 + y * x * 11) % 256));
  }
  return row;
}

constexpr const char* kTo3x4 = R"({"column":"x","name":"resize","height":3,"width":4})";

MATCHER_P(WithinOf, tolerance, "") {
  return std::abs(static_cast<int>(std::get<0>(arg)) - static_cast<int>(std::get<1>(arg))) <= tolerance;
}

TEST(ResizeTest, ShrinksAsPillow) {
  // Pillow 13.0: Image.resize((4, 3), BILINEAR).
  const std::vector<uint8_t> pillow = {46, 136, 134, 82, 111, 144, 117, 100, 169, 119, 111, 131};
  EXPECT_THAT(RunRow<uint8_t>(kTo3x4, Picture<uint8_t>()), Pointwise(WithinOf(1), pillow));
}

TEST(ResizeTest, GrowsAsPillow) {
  // Pillow 13.0: Image.resize((9, 8), BILINEAR).
  const std::vector<uint8_t> pillow = {
      0,   35,  77,  118, 159, 200, 99,  27,  62,  16,  55,  100, 145, 190, 148, 88,  69,  107,
      39,  83,  132, 179, 217, 81,  78,  123, 155, 62,  110, 165, 182, 101, 94,  133, 130, 60,
      86,  138, 163, 141, 65,  126, 143, 110, 44,  109, 165, 125, 55,  109, 175, 108, 63,  109,
      132, 193, 151, 81,  152, 112, 90,  111, 173, 148, 213, 174, 108, 183, 59,  78,  153, 218};
  EXPECT_THAT(RunRow<uint8_t>(R"({"column":"x","name":"resize","height":8,"width":9})", Picture<uint8_t>()),
              Pointwise(WithinOf(1), pillow));
}

TEST(ResizeTest, FloatsAreThoseOfTorch) {
  // torch 2.13: interpolate(t, (3, 4), mode="bilinear", antialias=True), and without antialias.
  EXPECT_THAT(RunRow<float>(kTo3x4, Picture<float>()),
              Pointwise(FloatNear(1e-3f), {46.088f, 135.903f, 133.846f, 82.878f, 110.577f, 144.667f, 116.551f,
                                           100.037f, 168.292f, 119.297f, 110.634f, 130.741f}));
  EXPECT_THAT(RunRow<float>(R"({"column":"x","name":"resize","height":3,"width":4,"antialias":false})",
                            Picture<float>()),
              Pointwise(FloatNear(1e-3f), {33.583f, 132.75f, 157.25f, 75.083f, 102.125f, 201.375f, 108.625f,
                                           79.875f, 170.667f, 78.0f, 92.0f, 148.667f}));
}

TEST(ResizeTest, NearestTakesThePixelUnderTheCentre) {
  // Pillow's NEAREST and torch's "nearest-exact" agree on these.
  const std::vector<uint8_t> known = {0, 106, 212, 62, 74, 224, 118, 12, 148, 86, 24, 218};
  const std::string spec = R"({"column":"x","name":"resize","height":3,"width":4,"interpolation":"nearest"})";
  EXPECT_THAT(RunRow<uint8_t>(spec, Picture<uint8_t>()), ElementsAreArray(known));
  EXPECT_THAT(RunRow<float>(spec, Picture<float>()), Pointwise(testing::Eq(), known));
}

// One output pixel straight from the definition: the triangle of both axes over every input pixel, in double.
double Naive(const Row<uint8_t>& in, int64_t channel, int64_t y, int64_t x, int64_t height, int64_t width,
             bool antialias) {
  const auto weight = [&](int64_t i, int64_t at, int64_t size, int64_t wanted) {
    const double scale = static_cast<double>(size) / static_cast<double>(wanted);
    const double support = antialias ? std::max(scale, 1.0) : 1.0;
    return std::max(
        0.0, 1 - std::fabs(static_cast<double>(i) + 0.5 - (static_cast<double>(at) + 0.5) * scale) / support);
  };
  double sum = 0, total = 0;
  for (int64_t i = 0; i < in.shape[1]; ++i) {
    for (int64_t j = 0; j < in.shape[2]; ++j) {
      const double w = weight(i, y, in.shape[1], height) * weight(j, x, in.shape[2], width);
      sum += w * in.values[static_cast<size_t>((channel * in.shape[1] + i) * in.shape[2] + j)];
      total += w;
    }
  }
  return sum / total;
}

struct Sizes {
  int64_t in_height, in_width, height, width;
};
class ResizeSizes : public testing::TestWithParam<Sizes> {};

TEST_P(ResizeSizes, BytesAndFloatsMatchTheDefinition) {
  const Sizes size = GetParam();
  const Row<uint8_t> bytes = Noise(2, size.in_height, size.in_width);
  const Row<float> floats{bytes.shape, std::vector<float>(bytes.values.begin(), bytes.values.end())};
  for (const bool antialias : {true, false}) {
    const std::string spec = R"({"column":"x","name":"resize","height":)" + std::to_string(size.height) +
                             ",\"width\":" + std::to_string(size.width) +
                             ",\"antialias\":" + (antialias ? "true}" : "false}");
    const auto small = RunRow<uint8_t>(spec, bytes);
    const auto exact = RunRow<float>(spec, floats);
    size_t at = 0;
    for (int64_t c = 0; c < 2; ++c) {
      for (int64_t y = 0; y < size.height; ++y) {
        for (int64_t x = 0; x < size.width; ++x, ++at) {
          const double naive = Naive(bytes, c, y, x, size.height, size.width, antialias);
          ASSERT_NEAR(small[at], naive, 1.0) << c << " " << y << " " << x;
          ASSERT_NEAR(exact[at], naive, 1e-3) << c << " " << y << " " << x;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ResizeSizes,
                         testing::Values(Sizes{1, 1, 5, 3}, Sizes{5, 3, 1, 1}, Sizes{17, 31, 17, 31},
                                         Sizes{17, 31, 16, 30}, Sizes{33, 7, 64, 9}, Sizes{64, 48, 8, 3},
                                         Sizes{2, 200, 3, 1}, Sizes{40, 40, 13, 80}));

TEST(ResizeTest, AConstantImageStaysConstant) {
  for (const uint8_t value : {0, 1, 127, 255}) {
    Row<uint8_t> row = Noise(1, 300, 211);
    std::fill(row.values.begin(), row.values.end(), value);
    const auto out = RunRow<uint8_t>(R"({"column":"x","name":"resize","height":7,"width":500})", row);
    EXPECT_TRUE(std::all_of(out.begin(), out.end(), [&](uint8_t x) { return x == value; })) << int{value};
  }
}

TEST(ResizeTest, TheCacheOfWeightsForgetsNothingInUse) {
  // More sizes than it holds, twice.
  for (int round = 0; round < 2; ++round) {
    for (int64_t side = 1; side <= 40; ++side) {
      const Row<uint8_t> row = Noise(1, side, 41 - side);
      const auto out = RunRow<uint8_t>(R"({"column":"x","name":"resize","height":5,"width":6})", row);
      ASSERT_NEAR(out[8], Naive(row, 0, 1, 2, 5, 6, true), 1.0);
    }
  }
}

TEST(ResizeTest, RefusesWhatIsNoImage) {
  EXPECT_THAT(
      Thrown([] { Chain(DType::kU8, {-1}, std::string("[") + kTo3x4 + "]"); }).what(),
      HasSubstr("its input is uint8 [?]: expected uint8 or float32 images [channels, height, width]"));
  EXPECT_THAT(Thrown([] {
                Chain(DType::kI32, {3, 4, 4}, std::string("[") + kTo3x4 + "]");
              }).what(),
              HasSubstr("its input is int32 [3,4,4]"));
  const TransformChain chain = Chain(DType::kU8, {1, -1, -1}, std::string("[") + kTo3x4 + "]");
  EXPECT_THAT(Thrown([&] {
                RunRow<uint8_t>(chain, Row<uint8_t>{{1, 0, 4}, {}});
              }).what(),
              HasSubstr("an image of 0x4 (height x width) has no pixels"));
}

}  // namespace
}  // namespace strop::feed
