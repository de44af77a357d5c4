#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/feed/transforms/test_images.h"
#include "strop/feed/transforms/test_rows.h"

namespace strop::feed {
namespace {

using testing::HasSubstr;

constexpr const char* kTraining = R"([
    {"column":"x","name":"decode"},
    {"column":"label","name":"one_hot","classes":10},
    {"column":"x","name":"random_resized_crop","height":16,"width":12},
    {"column":"x","name":"flip","axis":"horizontal"},
    {"column":"x","name":"normalise","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225],"scale":0.00392156862745098}])";

TEST(ChainTest, TakesItsOwnSpecsAndPlansThrough) {
  const TransformChain chain = Chain(DType::kU8, {-1}, kTraining);
  EXPECT_EQ(chain.input().shape, (Shape{-1}));
  EXPECT_EQ(chain.output().name, "x");
  EXPECT_EQ(chain.output().dtype, DType::kF32);
  EXPECT_EQ(chain.output().shape, (Shape{3, 16, 12}));
  EXPECT_TRUE(chain.dense());
}

TEST(ChainTest, AnEmptyOneGivesTheRowAsItIs) {
  const TransformChain chain = Chain(DType::kU8, {3}, R"([{"column":"y","name":"one_hot","classes":3}])");
  EXPECT_TRUE(chain.empty());
  const Row<uint8_t> row{{3}, {1, 2, 3}};
  TransformChain::Scratch scratch;
  EXPECT_EQ(chain.Apply(row.value(), 0, nullptr, scratch).data, row.values.data());
  EXPECT_EQ(RunRow<uint8_t>(chain, row), row.values);
}

TEST(ChainTest, ARowDependsOnItsKeyOnlyWhateverCameBefore) {
  const TransformChain chain = Chain(DType::kU8, {-1}, kTraining);
  const Row<uint8_t> small = Bytes(EncodeJpeg({})), large = Bytes(EncodeJpeg({.height = 200, .width = 90}));
  const auto expected = RunRow<float>(chain, small, 42);
  TransformChain::Scratch scratch;
  for (uint64_t key = 0; key < 20; ++key) {
    chain.Apply(large.value(), key, nullptr, scratch);
    const RowValue out = chain.Apply(small.value(), 42, nullptr, scratch);
    ASSERT_EQ(std::memcmp(out.data, expected.data(), expected.size() * sizeof(float)), 0);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(out.data) % 64, 0u);
  }
  EXPECT_NE(expected, RunRow<float>(chain, small, 43));
}

TEST(ChainTest, ThreadsShareOneChain) {
  const TransformChain chain = Chain(DType::kU8, {-1}, kTraining);
  const Row<uint8_t> row = Bytes(EncodeJpeg({}));
  const auto expected = RunRow<float>(chain, row, 7);
  std::vector<std::vector<float>> found(3);
  std::vector<std::thread> threads;
  for (auto& out : found) threads.emplace_back([&] { out = RunRow<float>(chain, row, 7); });
  for (auto& thread : threads) thread.join();
  for (const auto& out : found) EXPECT_EQ(out, expected);
}

TEST(ChainTest, DecodeBeforeResizeIsReducedButNeverBelowTheSize) {
  const JpegRecipe recipe{.height = 200, .width = 300, .quality = 95};
  const Row<uint8_t> row = Bytes(EncodeJpeg(recipe));
  const auto shape_after = [&](int64_t height, int64_t width) {
    const TransformChain chain =
        Chain(DType::kU8, {-1},
              "[{\"column\":\"x\",\"name\":\"decode\",\"min_height\":" + std::to_string(height) +
                  ",\"min_width\":" + std::to_string(width) + "}]");
    TransformChain::Scratch scratch;
    return chain.Apply(row.value(), 0, nullptr, scratch).shape;
  };
  EXPECT_EQ(shape_after(0, 0), (Shape{3, 200, 300}));
  EXPECT_EQ(shape_after(25, 38), (Shape{3, 25, 38}));
  EXPECT_EQ(shape_after(26, 38), (Shape{3, 50, 75}));
  EXPECT_EQ(shape_after(50, 76), (Shape{3, 100, 150}));
  EXPECT_EQ(shape_after(101, 10), (Shape{3, 200, 300}));
}

TEST(ChainTest, ReducedDecodingLooksLikeTheWholeOne) {
  const JpegRecipe recipe{.height = 200, .width = 300, .quality = 95};
  const Row<uint8_t> row = Bytes(EncodeJpeg(recipe));
  const std::string resize = R"({"column":"x","name":"resize","height":20,"width":30}])";
  const TransformChain reduced = Chain(DType::kU8, {-1}, R"([{"column":"x","name":"decode"},)" + resize);
  const TransformChain whole =
      Chain(DType::kU8, {-1}, R"([{"column":"x","name":"decode","min_height":0},)" + resize);
  // Scratch 0 is what decode made.
  TransformChain::Scratch scratch;
  reduced.Apply(row.value(), 0, nullptr, scratch);
  EXPECT_EQ(scratch[0].value().shape, (Shape{3, 25, 38}));
  whole.Apply(row.value(), 0, nullptr, scratch);
  EXPECT_EQ(scratch[0].value().shape, (Shape{3, 200, 300}));
  const auto a = RunRow<uint8_t>(reduced, row), b = RunRow<uint8_t>(whole, row);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 8) << i;
}

TEST(ChainTest, ErrorsOfARowNameColumnAndTransform) {
  const TransformChain chain = Chain(DType::kU8, {-1}, kTraining);
  const Error error = Thrown([&] { RunRow<float>(chain, Bytes("nothing")); });
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr("column x: transform decode: bytes that start with 6e 6f 74 68"));
}

TEST(ChainTest, APlaceNeedsADenseOutput) {
  const TransformChain chain = Chain(DType::kU8, {-1}, R"([{"column":"x","name":"decode"}])");
  uint8_t place = 0;
  TransformChain::Scratch scratch;
  const Row<uint8_t> row = Bytes(EncodeJpeg({}));
  EXPECT_EQ(Thrown([&] { chain.Apply(row.value(), 0, &place, scratch); }).code(), Code::kInternal);
}

TEST(RowOutTest, MemoryGrowsAndIsKept) {
  RowOut out;
  const uint8_t* first = out.Take(DType::kF32, {100});
  EXPECT_EQ(out.Take(DType::kU8, {10}), first);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(out.Take(DType::kU8, {100000})) % 64, 0u);
  EXPECT_NE(out.Take(DType::kU8, {0}), nullptr);
  uint8_t place[4];
  out.Aim(place, sizeof place);
  EXPECT_EQ(out.Take(DType::kF32, {}), place);
  EXPECT_EQ(Thrown([&] { out.Take(DType::kF32, {2}); }).code(), Code::kInternal);
}

}  // namespace
}  // namespace strop::feed
