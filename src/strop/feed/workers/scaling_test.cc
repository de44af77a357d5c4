#include "strop/feed/workers/scaling.h"

#include <cmath>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

std::vector<ScalingPoint> Points(const Scaling& law, const std::vector<double>& readers, double noise = 0,
                                 unsigned seed = 0) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<ScalingPoint> out;
  for (const double n : readers) out.push_back({n, law.At(n) * (1 + noise * normal(random))});
  return out;
}

TEST(Scaling, RecoversTheLawFromExactPoints) {
  for (const Scaling& law : {Scaling{100, 0.05, 0.002, 0}, Scaling{3e9, 0.3, 0.01, 0}, Scaling{1, 0, 0.02, 0},
                             Scaling{7, 0.2, 0, 0}, Scaling{5, 0, 0, 0}}) {
    const Scaling fit = FitScaling(Points(law, {1, 2, 4, 8, 16, 32}));
    EXPECT_NEAR(fit.lambda / law.lambda, 1, 1e-6);
    EXPECT_NEAR(fit.sigma, law.sigma, 1e-6);
    EXPECT_NEAR(fit.kappa, law.kappa, 1e-6);
    EXPECT_LT(fit.error, 1e-6);
  }
}

TEST(Scaling, PeakIsWhereGunthersFormulaSays) {
  const Scaling law{100, 0.05, 0.002, 0};
  EXPECT_DOUBLE_EQ(law.Peak(), std::sqrt(0.95 / 0.002));
  EXPECT_GT(law.At(law.Peak()), law.At(law.Peak() - 1));
  EXPECT_GT(law.At(law.Peak()), law.At(law.Peak() + 1));
  EXPECT_TRUE(std::isinf((Scaling{1, 0.5, 0, 0}.Peak())));
  EXPECT_EQ((Scaling{1, 1.5, 0.1, 0}.Peak()), 1);
}

TEST(Scaling, RecoversTheLawFromNoisyPoints) {
  const Scaling law{100, 0.08, 0.003, 0};
  std::vector<double> readers;
  for (int n = 1; n <= 32; ++n) readers.insert(readers.end(), 4, n);
  for (unsigned seed = 0; seed < 20; ++seed) {
    const Scaling fit = FitScaling(Points(law, readers, 0.03, seed));
    EXPECT_NEAR(fit.lambda, law.lambda, 6) << seed;
    EXPECT_NEAR(fit.sigma, law.sigma, 0.03) << seed;
    EXPECT_NEAR(fit.kappa, law.kappa, 0.001) << seed;
    EXPECT_NEAR(fit.error, 0.03, 0.01) << seed;
    EXPECT_GE(law.At(Knee(fit, 32)), 0.93 * law.At(law.Peak())) << seed;
  }
}

TEST(Scaling, NothingIsNegativeWhateverTheNoise) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0.5, 20);
  for (int i = 0; i < 500; ++i) {
    std::vector<ScalingPoint> points;
    for (const double n : {1, 2, 3, 5, 8}) points.push_back({n, uniform(random)});
    const Scaling fit = FitScaling(points);
    EXPECT_GT(fit.lambda, 0);
    EXPECT_GE(fit.sigma, 0);
    EXPECT_GE(fit.kappa, 0);
    EXPECT_GE(fit.Peak(), 1);
  }
}

TEST(Scaling, LinearScalingWantsAlmostAllReaders) {
  const Scaling fit = FitScaling({{1, 10}, {2, 20}, {4, 40}, {8, 80}});
  EXPECT_NEAR(fit.sigma, 0, 1e-9);
  EXPECT_NEAR(fit.kappa, 0, 1e-9);
  EXPECT_EQ(Knee(fit, 8), 8);
  EXPECT_EQ(Knee(fit, 100), 95);
}

TEST(Scaling, SaturationAtOnceWantsOne) {
  const Scaling fit = FitScaling({{1, 10}, {2, 10}, {4, 10}, {8, 10}});
  EXPECT_NEAR(fit.sigma, 1, 1e-9);
  EXPECT_EQ(Knee(fit, 64), 1);
}

TEST(Scaling, AStorageThatFallsHasItsKneeBeforeThePeak) {
  const Scaling law{10, 0.02, 0.05, 0};
  const Scaling fit = FitScaling(Points(law, {1, 2, 4, 8, 16}));
  EXPECT_NEAR(fit.Peak(), std::sqrt(0.98 / 0.05), 1e-3);
  EXPECT_LE(Knee(fit, 64), fit.Peak());
  EXPECT_EQ(Knee(FitScaling({{1, 10}, {2, 6}, {4, 3}}), 64), 1);
}

TEST(Scaling, TwoPointsOrOneAreEnoughForSomething) {
  const Scaling two = FitScaling({{1, 10}, {2, 16}});
  EXPECT_NEAR(two.At(1), 10, 1e-9);
  EXPECT_NEAR(two.At(2), 16, 1e-9);
  const Scaling one = FitScaling({{4, 40}});
  EXPECT_NEAR(one.lambda, 10, 1e-9);
  EXPECT_EQ(one.sigma, 0);
  EXPECT_THROW(FitScaling({}), Error);
  EXPECT_THROW(FitScaling({{1, 0}, {0, 4}}), Error);
}

TEST(Scaling, TheMeasuredKneeIsAMeasuredNumber) {
  EXPECT_EQ(MeasuredKnee({{1, 50}, {2, 96}, {4, 100}, {8, 99}}), 2);
  EXPECT_EQ(MeasuredKnee({{1, 50}, {2, 94}, {4, 100}, {8, 99}}), 4);
  EXPECT_EQ(MeasuredKnee({{1, 50}, {2, 94}, {4, 100}}, 0.1), 2);
  EXPECT_THROW(MeasuredKnee({}), Error);
}

}  // namespace
}  // namespace strop::feed
