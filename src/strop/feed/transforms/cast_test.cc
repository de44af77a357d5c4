#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/feed/transforms/test_rows.h"

namespace strop::feed {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(CastTest, FloatsAreRoundedToEvenAndSaturated) {
  const Row<float> row{{9}, {-1e9f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f, 254.6f, 300.0f, kInf}};
  EXPECT_THAT(RunRow<uint8_t>(R"({"column":"x","name":"cast","dtype":"uint8"})", row),
              ElementsAre(0, 0, 0, 0, 2, 2, 255, 255, 255));
  EXPECT_THAT(RunRow<int8_t>(R"({"column":"x","name":"cast","dtype":"int8"})", row),
              ElementsAre(-128, -2, 0, 0, 2, 2, 127, 127, 127));
  EXPECT_THAT(RunRow<int32_t>(R"({"column":"x","name":"cast","dtype":"int32"})", row),
              ElementsAre(-1000000000, -2, 0, 0, 2, 2, 255, 300, INT32_MAX));
  EXPECT_THAT(RunRow<uint64_t>(R"({"column":"x","name":"cast","dtype":"uint64"})", row),
              ElementsAre(0u, 0u, 0u, 0u, 2u, 2u, 255u, 300u, UINT64_MAX));
}

TEST(CastTest, DoublesSaturateAtTheEdgesOf64Bits) {
  const Row<double> row{{4}, {-1e300, 0x1p63, 9007199254740993.0, 0x1p64}};
  EXPECT_THAT(RunRow<int64_t>(R"({"column":"x","name":"cast","dtype":"int64"})", row),
              ElementsAre(INT64_MIN, INT64_MAX, 9007199254740992, INT64_MAX));
  EXPECT_THAT(RunRow<uint64_t>(R"({"column":"x","name":"cast","dtype":"uint64"})", row),
              ElementsAre(0u, uint64_t{1} << 63, 9007199254740992u, UINT64_MAX));
}

TEST(CastTest, IntegersSaturate) {
  const Row<int64_t> row{{4}, {INT64_MIN, -1, 128, INT64_MAX}};
  EXPECT_THAT(RunRow<uint8_t>(R"({"column":"x","name":"cast","dtype":"uint8"})", row),
              ElementsAre(0, 0, 128, 255));
  EXPECT_THAT(RunRow<int8_t>(R"({"column":"x","name":"cast","dtype":"int8"})", row),
              ElementsAre(-128, -1, 127, 127));
  EXPECT_THAT(RunRow<uint64_t>(R"({"column":"x","name":"cast","dtype":"uint64"})", row),
              ElementsAre(0u, 0u, 128u, uint64_t{INT64_MAX}));
  const Row<uint64_t> large{{1}, {UINT64_MAX}};
  EXPECT_THAT(RunRow<int32_t>(R"({"column":"x","name":"cast","dtype":"int32"})", large),
              ElementsAre(INT32_MAX));
}

TEST(CastTest, EveryFloatNearAnIntegerIsRoundedAsByNearbyint) {
  Row<float> row{{0}, {}};
  for (int i = -70000; i < 70000; ++i)
    row.values.push_back(static_cast<float>(i) * 0.5f + (i % 3 == 0 ? 0.01f : 0));
  row.shape[0] = static_cast<int64_t>(row.values.size());
  const auto shorts = RunRow<int16_t>(R"({"column":"x","name":"cast","dtype":"int16"})", row);
  for (size_t i = 0; i < shorts.size(); ++i) {
    const float exact = std::min(32767.0f, std::max(-32768.0f, std::nearbyint(row.values[i])));
    ASSERT_EQ(static_cast<float>(shorts[i]), exact) << row.values[i];
  }
}

TEST(CastTest, NanIsAnErrorForIntegersOnly) {
  const Row<float> row{{3}, {1, NAN, 2}};
  for (const char* dtype : {"uint8", "int64", "bool"}) {
    const std::string spec = std::string(R"({"column":"x","name":"cast","dtype":")") + dtype + "\"}";
    const Error error = Thrown([&] { RunRow<uint8_t>(spec, row); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("column x: transform cast: value 1 of the row is NaN"));
  }
  EXPECT_TRUE(std::isnan(RunRow<double>(R"({"column":"x","name":"cast","dtype":"float64"})", row)[1]));
}

TEST(CastTest, HalvesGoBothWays) {
  const TransformChain chain = Chain(DType::kF32, {3},
                                     R"([{"column":"x","name":"cast","dtype":"float16"},
                                         {"column":"x","name":"cast","dtype":"int16"}])");
  EXPECT_THAT(RunRow<int16_t>(chain, Row<float>{{3}, {1.0f, -2.5f, 1000.0f}}), ElementsAre(1, -2, 1000));
}

TEST(NormaliseTest, ScalesChannelsAsTorchvision) {
  // (x / 255 - mean) / std with the constants of ImageNet.
  const Row<uint8_t> row = Noise(3, 5, 7);
  const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
  const auto out = RunRow<float>(
      R"({"column":"x","name":"normalise","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225],
          "scale":0.00392156862745098})",
      row);
  for (size_t i = 0; i < out.size(); ++i) {
    ASSERT_NEAR(out[i], (row.values[i] / 255.0 - mean[i / 35]) / deviation[i / 35], 2e-6);
  }
}

TEST(NormaliseTest, TakesOneNumberForAllAndOneForEachFeature) {
  const Row<int64_t> row{{3}, {10, 20, 1000000007}};
  EXPECT_THAT(RunRow<float>(R"({"column":"x","name":"normalise","mean":10,"std":2})", row),
              ElementsAre(0, 5, 499999998.5f));
  EXPECT_THAT(
      RunRow<float>(R"({"column":"x","name":"normalise","mean":[0,20,1000000000],"std":[1,1,7]})", row),
      ElementsAre(10, 0, 1));
  const TransformChain ragged =
      Chain(DType::kI64, {-1}, R"([{"column":"x","name":"normalise","mean":10,"std":2}])");
  EXPECT_FALSE(ragged.dense());
  EXPECT_THAT(RunRow<float>(ragged, Row<int64_t>{{0}, {}}), ElementsAre());
}

TEST(NormaliseTest, RefusesChannelsThatAreNotThere) {
  const Error error = Thrown([] {
    Chain(DType::kU8, {3, -1, -1}, R"([{"column":"x","name":"normalise","mean":[1,2],"std":1}])");
  });
  EXPECT_STREQ(
      error.what(),
      "column x: transform normalise: its input is uint8 [3,?,?]: expected 2 channels first, one for each "
      "mean and std");
}

TEST(OneHotTest, MarksTheClass) {
  EXPECT_THAT(RunRow<float>(R"({"column":"x","name":"one_hot","classes":3})", Row<int64_t>{{}, {2}}),
              ElementsAre(0, 0, 1));
  EXPECT_THAT(RunRow<float>(R"({"column":"x","name":"one_hot","classes":2})", Row<uint8_t>{{1}, {0}}),
              ElementsAre(1, 0));
}

TEST(OneHotTest, RefusesClassesOutOfRangeAndFloats) {
  for (const int64_t value : {int64_t{-1}, int64_t{3}, INT64_MIN}) {
    const Error error = Thrown([&] {
      RunRow<float>(R"({"column":"x","name":"one_hot","classes":3})", Row<int64_t>{{}, {value}});
    });
    EXPECT_THAT(error.what(), HasSubstr("class " + std::to_string(value) + ": expected 0 to 2"));
  }
  const Error large = Thrown([&] {
    RunRow<float>(R"({"column":"x","name":"one_hot","classes":3})", Row<uint64_t>{{}, {UINT64_MAX}});
  });
  EXPECT_THAT(large.what(), HasSubstr("class 18446744073709551615"));
  const Error floats =
      Thrown([] { Chain(DType::kF32, {}, R"([{"column":"x","name":"one_hot","classes":3}])"); });
  EXPECT_THAT(floats.what(), HasSubstr("expected one integer a row"));
}

TEST(PadTest, CutsAndFills) {
  const auto pad = [](const std::string& options) {
    return Chain(DType::kI32, {-1, 2}, "[{\"column\":\"x\",\"name\":\"pad\"," + options + "}]");
  };
  const Row<int32_t> row{{2, 2}, {1, 2, 3, 4}};
  EXPECT_EQ(pad(R"("length":3)").output().shape, (Shape{3, 2}));
  EXPECT_THAT(RunRow<int32_t>(pad(R"("length":3)"), row), ElementsAre(1, 2, 3, 4, 0, 0));
  EXPECT_THAT(RunRow<int32_t>(pad(R"("length":3,"value":-1)"), row), ElementsAre(1, 2, 3, 4, -1, -1));
  EXPECT_THAT(RunRow<int32_t>(pad(R"("length":1)"), row), ElementsAre(1, 2));
  EXPECT_THAT(RunRow<int32_t>(pad(R"("length":1,"value":9)"), Row<int32_t>{{0, 2}, {}}), ElementsAre(9, 9));
  const Error error = Thrown([&] { RunRow<int32_t>(pad(R"("length":1,"truncate":false)"), row); });
  EXPECT_THAT(error.what(), HasSubstr("a row of length 2 is longer than length = 1"));
}

TEST(PadTest, RefusesValuesThatTheColumnCannotHold) {
  for (const char* value : {"-1", "256", "0.5", "1e30"}) {
    const std::string spec = std::string(R"([{"column":"x","name":"pad","length":2,"value":)") + value + "}]";
    const Error error = Thrown([&] { Chain(DType::kU8, {-1}, spec); });
    EXPECT_THAT(error.what(), HasSubstr("expected what uint8 can hold")) << value;
  }
  const Error scalar = Thrown([&] { Chain(DType::kU8, {}, R"([{"column":"x","name":"pad","length":2}])"); });
  EXPECT_THAT(scalar.what(), HasSubstr("its input is uint8 []"));
}

}  // namespace
}  // namespace strop::feed
