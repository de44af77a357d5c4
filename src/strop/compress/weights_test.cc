#include "strop/compress/weights.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>

#include "strop/base/rng.h"

namespace strop::compress {
namespace {

Tensor Random(const Shape& shape, uint64_t seed) {
  Rng rng(seed);
  Tensor tensor = Tensor::New(DType::kF32, shape);
  for (float& value : tensor.As<float>()) value = static_cast<float>(rng.Normal());
  return tensor;
}

TEST(Weights, EveryChannelIsScaledByItself) {
  // Channels of largest weight 1 and 100 along axis 0; an evenly spread channel is not worth clipping.
  const Tensor weight =
      Tensor::From<float>({2, 4}, std::vector<float>{-1, -0.5F, 0.5F, 1, 100, 50, -50, -100});
  const Weights weights = QuantizeWeights(weight, 0, 64);
  EXPECT_FLOAT_EQ(weights.scales.As<float>()[0], 1.F / 64);
  EXPECT_FLOAT_EQ(weights.scales.As<float>()[1], 100.F / 64);
  const std::vector<int8_t> stored(weights.values.As<int8_t>().begin(), weights.values.As<int8_t>().end());
  EXPECT_EQ(stored, (std::vector<int8_t>{-64, -32, 32, 64, 64, 32, -32, -64}));
}

TEST(Weights, TheAxisMayBeTheLast) {
  const Tensor weight = Tensor::From<float>({2, 2}, std::vector<float>{1, 100, -1, -100});
  const Weights weights = QuantizeWeights(weight, 1, 127);
  EXPECT_FLOAT_EQ(weights.scales.As<float>()[0], 1.F / 127);
  EXPECT_FLOAT_EQ(weights.scales.As<float>()[1], 100.F / 127);
}

// vpmaddubsw adds two uint8 x int8 products in a saturating int16: at the limit of 64 no pair can overflow.
TEST(Weights, NoPairOfProductsOverflowsInt16AtTheLimit) {
  const Weights weights = QuantizeWeights(Random({8, 3, 3, 3}, 1), 0, 64);
  int most = 0;
  for (const int8_t value : weights.values.As<int8_t>())
    most = std::max(most, std::abs(static_cast<int>(value)));
  EXPECT_EQ(most, 64);
  EXPECT_LE(2 * 255 * most, INT16_MAX);
}

TEST(Weights, ClippingNeverMakesTheSquaredErrorLarger) {
  const Tensor weight = Random({16, 64}, 2);
  const Weights weights = QuantizeWeights(weight, 0, 64);
  for (size_t channel = 0; channel < 16; ++channel) {
    float largest = 0;
    for (size_t i = 0; i < 64; ++i)
      largest = std::max(largest, std::abs(weight.As<float>()[channel * 64 + i]));
    double plain = 0, got = 0;
    for (size_t i = 0; i < 64; ++i) {
      const float value = weight.As<float>()[channel * 64 + i], step = largest / 64;
      plain += std::pow(value - step * std::nearbyint(value / step), 2);
      got += std::pow(
          value - weights.scales.As<float>()[channel] * weights.values.As<int8_t>()[channel * 64 + i], 2);
    }
    EXPECT_LE(got, plain * 1.0001);
  }
}

TEST(Weights, ABiasIsStoredInTheScaleOfTheProducts) {
  const Tensor weight = Tensor::From<float>({2, 1}, std::vector<float>{0.64F, 1.28F});
  Weights weights = QuantizeWeights(weight, 0, 64);
  const Tensor bias =
      QuantizeBias(Tensor::From<float>({2}, std::vector<float>{1, -1}), 0.5F, weight, 64, 1, &weights);
  EXPECT_EQ(bias.As<int32_t>()[0], 200);   // 1 / (0.5 * 0.01)
  EXPECT_EQ(bias.As<int32_t>()[1], -100);  // -1 / (0.5 * 0.02)
}

TEST(Weights, ABiasBesideNearlyNoWeightStillFits) {
  const Tensor weight = Tensor::From<float>({1, 1}, std::vector<float>{1e-20F});
  Weights weights = QuantizeWeights(weight, 0, 64);
  const Tensor bias =
      QuantizeBias(Tensor::From<float>({1}, std::vector<float>{3}), 0.1F, weight, 64, 1, &weights);
  EXPECT_NEAR(bias.As<int32_t>()[0] * 0.1 * weights.scales.As<float>()[0], 3, 1e-5);
}

TEST(Weights, AChannelOfZerosStaysZero) {
  const Tensor weight = Tensor::From<float>({1, 3}, std::vector<float>{0, 0, 0});
  const Weights weights = QuantizeWeights(weight, 0, 64);
  for (const int8_t value : weights.values.As<int8_t>()) EXPECT_EQ(value, 0);
  EXPECT_GT(weights.scales.As<float>()[0], 0);
}

}  // namespace
}  // namespace strop::compress
