#include "strop/feed/transforms/image.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/feed/transforms/test_rows.h"

namespace strop::feed {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Each pixel tells its place: 100 y + x, of the first channel.
Row<int32_t> Places(int64_t height, int64_t width) {
  Row<int32_t> row{{1, height, width}, {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) row.values.push_back(static_cast<int32_t>(100 * y + x));
  }
  return row;
}

TEST(CropTest, CentreIsThatOfTorchvision) {
  const std::string spec = R"({"column":"x","name":"crop","height":2,"width":2})";
  EXPECT_THAT(RunRow<int32_t>(spec, Places(4, 4)), ElementsAre(101, 102, 201, 202));
  // round((5 - 2) / 2) = round(1.5) = 2 and round((3 - 2) / 2) = round(0.5) = 0, halves to even.
  EXPECT_THAT(RunRow<int32_t>(spec, Places(5, 3)), ElementsAre(200, 201, 300, 301));
}

TEST(CropTest, RandomStaysInsideReachesEveryPlaceAndFollowsTheKey) {
  const std::string spec = R"({"column":"x","name":"crop","height":3,"width":4,"at":"random"})";
  const Row<int32_t> row = Places(5, 6);
  std::set<int32_t> corners;
  for (uint64_t key = 0; key < 200; ++key) {
    const auto out = RunRow<int32_t>(spec, row, key);
    const int32_t top = out[0] / 100, left = out[0] % 100;
    ASSERT_LE(top, 2);
    ASSERT_LE(left, 2);
    EXPECT_EQ(out.back(), out[0] + 203);
    EXPECT_EQ(out, RunRow<int32_t>(spec, row, key));
    corners.insert(out[0]);
  }
  EXPECT_EQ(corners.size(), 9u);
}

TEST(CropTest, TooSmallIsAnErrorThatNamesTheSizes) {
  const std::string spec = R"([{"column":"x","name":"crop","height":3,"width":4}])";
  const std::string says =
      "column x: transform crop: an image of 2x9 (height x width) is smaller than the crop of 3x4: resize it "
      "first";
  EXPECT_STREQ(Thrown([&] { Chain(DType::kU8, {3, 2, 9}, spec); }).what(), says.c_str());
  EXPECT_THAT(Thrown([&] {
                Chain(DType::kU8, {3, 2, -1}, spec);
              }).what(),
              HasSubstr("an image of 2x? (height"));
  const TransformChain chain = Chain(DType::kU8, {3, -1, -1}, spec);
  EXPECT_STREQ(Thrown([&] { RunRow<uint8_t>(chain, Noise(3, 2, 9)); }).what(), says.c_str());
}

TEST(FlipTest, MirrorsEitherAxisOfAnyType) {
  const Row<int32_t> row = Places(2, 3);
  EXPECT_THAT(RunRow<int32_t>(R"({"column":"x","name":"flip","axis":"horizontal","probability":1})", row),
              ElementsAre(2, 1, 0, 102, 101, 100));
  EXPECT_THAT(RunRow<int32_t>(R"({"column":"x","name":"flip","axis":"vertical","probability":1})", row),
              ElementsAre(100, 101, 102, 0, 1, 2));
  EXPECT_EQ(RunRow<int32_t>(R"({"column":"x","name":"flip","axis":"vertical","probability":0})", row),
            row.values);
  const Row<uint8_t> noise = Noise(3, 4, 5);
  const TransformChain twice = Chain(DType::kU8, {3, 4, 5}, R"([
      {"column":"x","name":"flip","axis":"horizontal","probability":1},
      {"column":"x","name":"flip","axis":"horizontal","probability":1}])");
  EXPECT_EQ(RunRow<uint8_t>(twice, noise), noise.values);
}

TEST(FlipTest, IsDrawnFromTheKeyWithTheProbability) {
  const Row<int32_t> row = Places(1, 2);
  int flipped = 0;
  for (uint64_t key = 0; key < 1000; ++key) {
    const auto out =
        RunRow<int32_t>(R"({"column":"x","name":"flip","axis":"horizontal","probability":0.3})", row, key);
    flipped += out[0] == 1 ? 1 : 0;
  }
  EXPECT_NEAR(flipped, 300, 60);  // four standard deviations
}

TEST(FlipTest, TwoOfOneChainDrawIndependently) {
  const TransformChain chain = Chain(DType::kI32, {1, 2, 2}, R"([
      {"column":"x","name":"flip","axis":"horizontal"}, {"column":"x","name":"flip","axis":"vertical"}])");
  std::set<std::vector<int32_t>> seen;
  for (uint64_t key = 0; key < 64; ++key) seen.insert(RunRow<int32_t>(chain, Places(2, 2), key));
  EXPECT_EQ(seen.size(), 4u);
}

TEST(RandomResizedCropTest, CutsStayInsideWithTheirAreaAndRatio) {
  std::set<int64_t> tops;
  for (uint64_t key = 0; key < 2000; ++key) {
    const Cut cut = DrawCut(200, 300, {0.25, 0.5}, {0.75, 4.0 / 3}, key);
    ASSERT_GE(cut.top, 0);
    ASSERT_GE(cut.left, 0);
    ASSERT_LE(cut.top + cut.height, 200);
    ASSERT_LE(cut.left + cut.width, 300);
    const double area = static_cast<double>(cut.height * cut.width) / (200 * 300);
    const double ratio = static_cast<double>(cut.width) / static_cast<double>(cut.height);
    ASSERT_TRUE(area > 0.245 && area < 0.505) << area;
    ASSERT_TRUE(ratio > 0.74 && ratio < 1.35) << ratio;
    tops.insert(cut.top);
    const Cut again = DrawCut(200, 300, {0.25, 0.5}, {0.75, 4.0 / 3}, key);
    ASSERT_EQ(cut.top, again.top);
    ASSERT_EQ(cut.width, again.width);
  }
  EXPECT_GT(tops.size(), 60u);
}

TEST(RandomResizedCropTest, FallsBackToTheLargestCentredWindow) {
  // No window of the whole area and a ratio near 1 fits these; torchvision's get_params then answers the
  // same.
  const Cut wide = DrawCut(10, 100, {1, 1}, {0.75, 4.0 / 3}, 3);
  EXPECT_EQ(wide.height, 10);
  EXPECT_EQ(wide.width, 13);
  EXPECT_EQ(wide.left, 43);
  const Cut tall = DrawCut(100, 12, {1, 1}, {0.75, 4.0 / 3}, 3);
  EXPECT_EQ(tall.height, 16);
  EXPECT_EQ(tall.top, 42);
}

TEST(RandomResizedCropTest, MakesTheSizeAndFollowsTheKey) {
  const std::string spec = R"({"column":"x","name":"random_resized_crop","height":8,"width":6})";
  const Row<uint8_t> row = Noise(3, 40, 50);
  EXPECT_EQ(RunRow<uint8_t>(spec, row, 1).size(), 3u * 8 * 6);
  EXPECT_EQ(RunRow<uint8_t>(spec, row, 1), RunRow<uint8_t>(spec, row, 1));
  EXPECT_NE(RunRow<uint8_t>(spec, row, 1), RunRow<uint8_t>(spec, row, 2));
}

TEST(RandomResizedCropTest, OfTheWholeImageIsResize) {
  const Row<uint8_t> row = Noise(3, 40, 40);
  EXPECT_EQ(
      RunRow<uint8_t>(
          R"({"column":"x","name":"random_resized_crop","height":8,"width":6,"scale":[1,1],"ratio":[1,1]})",
          row),
      RunRow<uint8_t>(R"({"column":"x","name":"resize","height":8,"width":6})", row));
}

}  // namespace
}  // namespace strop::feed
