#include "strop/compress/calibrate.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/compress/test_support.h"
#include "strop/model/reference/evaluator.h"

namespace strop::compress {
namespace {

TEST(Histogram, AnEvenSpreadIsKeptWhole) {
  Histogram histogram(0, 10);
  for (size_t i = 0; i < Histogram::kBins; ++i) histogram.AddToBin(i, 10);
  const Range range = histogram.BestRange();
  EXPECT_FLOAT_EQ(range.low, 0);
  EXPECT_FLOAT_EQ(range.high, 10);
}

TEST(Histogram, ARareOutlierIsClipped) {
  // About a million values below 1 and one at 10. Clipping at c costs (10 - c)^2 once and a million times
  // (c / 255)^2 / 12, least at c = 4.35.
  Histogram histogram(0, 10);
  for (size_t i = 0; i < Histogram::kBins / 10; ++i) histogram.AddToBin(i, 1025000 / (Histogram::kBins / 10));
  histogram.AddToBin(Histogram::kBins - 1, 1);
  EXPECT_NEAR(histogram.BestRange().high, 4.35, 0.25);
}

TEST(Histogram, BothEndsAreChosenApart) {
  Histogram histogram(-8, 8);
  for (size_t i = Histogram::kBins * 7 / 16; i < Histogram::kBins; ++i) histogram.AddToBin(i, 1000);
  histogram.AddToBin(0, 1);
  const Range range = histogram.BestRange();
  EXPECT_GT(range.low, -4);
  EXPECT_LE(range.low, -1);
  EXPECT_FLOAT_EQ(range.high, 8);
}

TEST(Histogram, ZeroIsAlwaysHeld) {
  Histogram histogram(3, 5);
  histogram.AddToBin(7, 10);
  EXPECT_FLOAT_EQ(histogram.BestRange().low, 0);
}

TEST(Histogram, AChosenRangeIsNeverWorseThanTheWholeOne) {
  // Mean squared error of quantising real draws, not of the histogram's own model of it.
  Rng rng(4);
  std::vector<float> values(20000);
  for (float& value : values) value = static_cast<float>(std::pow(rng.Normal(), 5));
  float low = 0, high = 0;
  for (const float value : values) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  Histogram histogram(low, high);
  histogram.Add(values.data(), static_cast<int64_t>(values.size()));
  const auto error = [&](const Range& range) {
    const Quantization q = Quantization::From(range);
    double sum = 0;
    for (const float value : values) {
      const double stored = std::clamp(std::nearbyint(value / q.scale) + q.zero_point, 0.F, 255.F);
      sum += std::pow(value - q.scale * (stored - q.zero_point), 2);
    }
    return sum;
  };
  EXPECT_LE(error(histogram.BestRange()), error({low, high}) * 1.02);
}

TEST(Calibrate, RangesHoldWhatTheReferenceComputes) {
  Rng rng(5);
  const model::Graph graph = SmallNetwork(3);
  const TensorMap rows = {{"image", RandomBytes({300, 1, 8, 8}, rng)}};
  const auto ranges = Calibrate(graph, {"x", "r1", "y2"}, rows, 1);
  const TensorMap values = model::reference::Evaluate(graph, rows, {"x", "r1", "y2"});
  for (const auto& [name, tensor] : values) {
    float low = 0, high = 0;
    for (const float value : tensor.As<float>()) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
    const Range& range = ranges.at(name);
    EXPECT_LE(range.high, high * 1.01F + 1e-4F) << name;
    EXPECT_GE(range.high, high * 0.2F) << name;
    EXPECT_GE(range.low, low * 1.01F - 1e-4F) << name;
  }
}

TEST(Calibrate, AnActivationThatIsNotFiniteIsNamed) {
  model::Graph graph;
  graph.opsets = {{"", 17}};
  graph.inputs = {MakeValue("x", DType::kF32, {-1, 1})};
  graph.outputs = {MakeValue("y", DType::kF32, {-1, 1})};
  graph.nodes = {MakeNode("Relu", {"x"}, "r"), MakeNode("Relu", {"r"}, "y")};
  const std::vector<float> values = {1, std::numeric_limits<float>::infinity()};
  try {
    Calibrate(graph, {"x"}, {{"x", Tensor::From<float>({2, 1}, values)}}, 1);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), testing::HasSubstr("'x' is inf"));
  }
}

}  // namespace
}  // namespace strop::compress
