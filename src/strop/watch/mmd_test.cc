#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/base/test_error.h"
#include "strop/watch/detector.h"
#include "strop/watch/rff.h"

namespace strop::watch {
namespace {

using testing::HasSubstr;

// Rows of a skewed, correlated mixture: three clusters, one of them rare, in six columns.
Tensor Mixture(Rng& rng, int64_t rows, double shift = 0) {
  Tensor tensor = Tensor::New(DType::kF32, {rows, 6});
  const auto values = tensor.As<float>();
  for (int64_t row = 0; row < rows; ++row) {
    const double draw = rng.Uniform();
    const double centre = draw < 0.6 ? 0 : draw < 0.95 ? 2 : 6;
    const double shared = rng.Normal();
    for (int64_t i = 0; i < 6; ++i) {
      const double value = centre + shared + std::exp(0.5 * rng.Normal()) + (i == 2 ? shift : 0);
      values[static_cast<size_t>(row * 6 + i)] = static_cast<float>(value);
    }
  }
  return tensor;
}

Tensor Normals(Rng& rng, int64_t rows, int64_t columns) {
  Tensor tensor = Tensor::New(DType::kF32, {rows, columns});
  for (float& value : tensor.As<float>()) value = static_cast<float>(rng.Normal());
  return tensor;
}

int Alarms(Detector& detector, const Tensor& rows, int64_t window) {
  int alarms = 0;
  for (int64_t begin = 0; begin + window <= rows.shape()[0]; begin += window) {
    alarms += detector.Update(rows.Rows(begin, begin + window)).drift;
  }
  return alarms;
}

TEST(Features, InnerProductsAreTheKernel) {
  Rng rng(1);
  const Tensor rows = Normals(rng, 40, 5);
  const double bandwidth = MedianBandwidth(rows.As<float>().data(), 40, 5);
  const int64_t kFeatures = 8192;
  const RandomFourierFeatures features(5, kFeatures, bandwidth, 3);
  std::vector<float> mapped(static_cast<size_t>(40 * kFeatures));
  features.Map(rows.As<float>().data(), 40, mapped.data());
  for (size_t a = 0; a < 40; ++a) {
    for (size_t b = 0; b < 40; ++b) {
      double product = 0, distance = 0;
      for (size_t j = 0; j < kFeatures; ++j)
        product += mapped[a * kFeatures + j] * static_cast<double>(mapped[b * kFeatures + j]);
      for (size_t i = 0; i < 5; ++i)
        distance += std::pow(rows.As<float>()[a * 5 + i] - rows.As<float>()[b * 5 + i], 2);
      // The error of a mean of D / 2 cosines: five standard deviations.
      EXPECT_NEAR(product, std::exp(-distance / (2 * bandwidth * bandwidth)), 5 * std::sqrt(1.0 / kFeatures));
    }
  }
}

TEST(Features, BandwidthIsTheMedianDistance) {
  // 0, 1, 3: distances 1, 2, 3.
  const std::vector<float> rows = {0, 1, 3};
  EXPECT_FLOAT_EQ(static_cast<float>(MedianBandwidth(rows.data(), 3, 1)), 2);
  const std::vector<float> mostly_same = {5, 5, 5, 5, 9};
  EXPECT_FLOAT_EQ(static_cast<float>(MedianBandwidth(mostly_same.data(), 5, 1)), 1.6f);
  const std::vector<float> same(10, 1.0f);
  EXPECT_EQ(MedianBandwidth(same.data(), 10, 1), 0);
}

// The score by the kernel itself, with all pairs: what the features approximate.
double NaiveMmd(const Tensor& a, const Tensor& b, double bandwidth) {
  const auto mean = [&](const Tensor& x, const Tensor& y) {
    const auto left = x.As<float>(), right = y.As<float>();
    const auto width = static_cast<size_t>(x.shape()[1]);
    double sum = 0;
    for (size_t i = 0; i < left.size(); i += width) {
      for (size_t j = 0; j < right.size(); j += width) {
        double distance = 0;
        for (size_t k = 0; k < width; ++k) distance += std::pow(left[i + k] - right[j + k], 2);
        sum += std::exp(-distance / (2 * bandwidth * bandwidth));
      }
    }
    return sum / (static_cast<double>(x.shape()[0]) * static_cast<double>(y.shape()[0]));
  };
  return mean(a, a) + mean(b, b) - 2 * mean(a, b);
}

TEST(Mmd, TheScoreIsTheKernelsDiscrepancy) {
  Rng rng(4);
  const Tensor reference = Mixture(rng, 400);
  const Tensor window = Mixture(rng, 100, 1.5);
  const auto detector = MakeMmd("input", reference, {.window = 100, .features = 1024});
  const Verdict verdict = detector->Update(window);
  const double naive = NaiveMmd(reference, window, verdict.evidence.at("bandwidth"));
  EXPECT_NEAR(verdict.score, naive, 0.2 * naive);
  EXPECT_EQ(detector->name(), "input");
}

// The stated rate, measured: over many references and many windows of each, the alarms are binomial.
TEST(Mmd, FalseAlarmsComeAtTheStatedRate) {
  const struct {
    int64_t window, false_alarm_rows, reference;
    bool normals;
  } kCases[] = {
      {50, 1000, 1000, false}, {50, 5000, 1000, false}, {100, 2000, 500, false}, {40, 2000, 1000, true}};
  for (const auto& [window, false_alarm_rows, reference_rows, normals] : kCases) {
    int alarms = 0, windows = 0;
    for (uint64_t trial = 0; trial < 12; ++trial) {
      Rng rng(77, trial);
      const auto draw = [&](int64_t rows) { return normals ? Normals(rng, rows, 30) : Mixture(rng, rows); };
      const auto detector =
          MakeMmd("input", draw(reference_rows),
                  {.window = window, .false_alarm_rows = false_alarm_rows, .features = 128, .seed = trial});
      const int64_t count = 250;
      alarms += Alarms(*detector, draw(count * window), window);
      windows += static_cast<int>(count);
    }
    const double rate = static_cast<double>(window) / static_cast<double>(false_alarm_rows);
    const double expected = rate * windows;
    // Four standard deviations of the binomial; windows of one reference share its luck, which adds to them.
    const double slack =
        4 * std::sqrt(expected) *
        std::sqrt(1 + static_cast<double>(window) / static_cast<double>(reference_rows) * 12);
    EXPECT_NEAR(alarms, expected, slack)
        << "window " << window << ", one alarm in " << false_alarm_rows << " rows";
    EXPECT_GT(alarms, expected / 4);
    RecordProperty(
        "window_" + std::to_string(window) + "_in_" + std::to_string(false_alarm_rows),
        std::to_string(alarms) + " of " + std::to_string(windows) + ", expected " + std::to_string(expected));
  }
}

TEST(Mmd, AShiftOfOneColumnIsFoundAndNamed) {
  Rng rng(9);
  const auto detector = MakeMmd("input", Mixture(rng, 2000), {.window = 200, .false_alarm_rows = 100'000});
  EXPECT_EQ(Alarms(*detector, Mixture(rng, 4000), 200), 0);
  const Verdict verdict = detector->Update(Mixture(rng, 200, 2.0));
  EXPECT_TRUE(verdict.drift);
  EXPECT_LT(verdict.evidence.at("p_value"), 200.0 / 100'000);
  EXPECT_EQ(verdict.evidence.at("shift_1_index"), 2);
  EXPECT_GT(verdict.evidence.at("shift_1"), 0.3);
  EXPECT_EQ(verdict.evidence.at("windows"), 21);
  EXPECT_THAT(verdict.ToJson(), HasSubstr("\"drift\":true"));
}

TEST(Mmd, AChangeOfSpreadIsFound) {
  Rng rng(10);
  const auto detector = MakeMmd("input", Normals(rng, 2000, 8), {.window = 200});
  Tensor wide = Normals(rng, 200, 8);
  for (float& value : wide.As<float>()) value *= 1.4f;
  EXPECT_TRUE(detector->Update(wide).drift);
}

TEST(Mmd, RowsGatherUntilAWindowIsFull) {
  Rng rng(11);
  const Tensor reference = Normals(rng, 500, 4);
  const Tensor stream = Normals(rng, 300, 4);
  const auto whole = MakeMmd("input", reference, {.window = 100});
  const auto pieces = MakeMmd("input", reference, {.window = 100});
  std::vector<double> expected, found;
  for (int64_t begin = 0; begin < 300; begin += 100)
    expected.push_back(whole->Update(stream.Rows(begin, begin + 100)).score);
  EXPECT_EQ(pieces->Update(stream.Rows(0, 60)).score, 0);
  EXPECT_GT(pieces->Update(stream.Rows(0, 0)).threshold, 0);
  for (int64_t begin = 60; begin < 300; begin += 20) {
    const Verdict verdict = pieces->Update(stream.Rows(begin, begin + 20));
    if ((begin + 20) % 100 == 0) found.push_back(verdict.score);
  }
  ASSERT_EQ(found.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(found[i], expected[i], 1e-9);
  const auto once = MakeMmd("input", reference, {.window = 100});
  EXPECT_NEAR(once->Update(stream).score, *std::max_element(expected.begin(), expected.end()), 1e-9);
}

TEST(Mmd, TheSameSeedGivesTheSameVerdict) {
  Rng rng(12);
  const Tensor reference = Normals(rng, 500, 4), rows = Normals(rng, 200, 4);
  const auto verdict = [&](uint64_t seed) {
    return MakeMmd("input", reference, {.seed = seed})->Update(rows);
  };
  EXPECT_EQ(verdict(1).score, verdict(1).score);
  EXPECT_EQ(verdict(1).threshold, verdict(1).threshold);
  EXPECT_NE(verdict(1).score, verdict(2).score);
}

TEST(Mmd, BytesAreScaled) {
  Rng rng(13);
  Tensor bytes = Tensor::New(DType::kU8, {300, 2, 3});
  for (uint8_t& value : bytes.As<uint8_t>()) value = static_cast<uint8_t>(rng.Below(256));
  Tensor floats = bytes.Cast(DType::kF32);
  for (float& value : floats.As<float>()) value /= 255.0f;
  const Verdict of_bytes = MakeMmd("input", bytes, {.window = 100})->Update(bytes.Rows(0, 100));
  const Verdict of_floats = MakeMmd("input", floats, {.window = 100})->Update(floats.Rows(0, 100));
  EXPECT_EQ(of_bytes.score, of_floats.score);
  EXPECT_EQ(of_bytes.threshold, of_floats.threshold);
}

TEST(Mmd, WrongInputIsRefused) {
  Rng rng(14);
  const auto code = [](auto call) { return Thrown(call).code(); };
  const Tensor reference = Normals(rng, 500, 4);
  EXPECT_EQ(code([&] { MakeMmd("input", reference.Rows(0, 50), {}); }), Code::kInvalidArgument);
  EXPECT_EQ(code([&] { MakeMmd("input", reference, {.window = 600}); }), Code::kInvalidArgument);
  EXPECT_EQ(code([&] { MakeMmd("input", reference, {.window = 200, .false_alarm_rows = 300}); }),
            Code::kInvalidArgument);
  EXPECT_EQ(code([&] { MakeMmd("input", reference, {.features = 511}); }), Code::kInvalidArgument);
  Tensor constant = Tensor::New(DType::kF32, {200, 2});
  for (float& value : constant.As<float>()) value = 1;
  EXPECT_THAT(Thrown([&] { MakeMmd("input", constant, {}); }).what(), HasSubstr("all the same"));
  const auto detector = MakeMmd("input", reference, {});
  EXPECT_THAT(Thrown([&] { detector->Update(Normals(rng, 10, 5)); }).what(),
              HasSubstr("[10,5]: expected float32 [rows,4]"));
  EXPECT_EQ(code([&] { detector->Update(reference.Cast(DType::kF64)); }), Code::kInvalidArgument);
  Tensor broken = Normals(rng, 10, 4);
  broken.As<float>()[9] = NAN;
  EXPECT_THAT(Thrown([&] { detector->Update(broken); }).what(), HasSubstr("row 2 is not finite"));
}

}  // namespace
}  // namespace strop::watch
