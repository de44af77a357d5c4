#include "strop/tune/gp/acquisition.h"

#include <cmath>

#include <gtest/gtest.h>

#include "strop/base/rng.h"

namespace strop::tune::gp {
namespace {

TEST(ExpectedImprovementTest, KnownValues) {
  // At mean = best the improvement is σ φ(0) = σ / √(2π).
  EXPECT_NEAR(ExpectedImprovement(3, 2, 3), 2 / std::sqrt(2 * M_PI), 1e-15);
  // z = 1: φ(1) + Φ(1) = 0.24197072451914337 + 0.84134474606854293.
  EXPECT_NEAR(ExpectedImprovement(0, 1, 1), 1.0833154705876863, 1e-14);
  // Certain improvement is the improvement itself.
  EXPECT_NEAR(ExpectedImprovement(-5, 1e-6, 0), 5, 1e-12);
}

TEST(ExpectedImprovementTest, AgreesWithMonteCarlo) {
  Rng rng(11);
  for (auto [mean, deviation, best] : {std::tuple{0.5, 1.0, 0.0}, {-0.3, 0.2, 0.1}, {1.0, 2.0, -1.0}}) {
    double sum = 0, squares = 0;
    constexpr int kDraws = 400000;
    for (int i = 0; i < kDraws; ++i) {
      const double gain = std::max(0.0, best - (mean + deviation * rng.Normal()));
      sum += gain;
      squares += gain * gain;
    }
    const double average = sum / kDraws;
    const double error = std::sqrt((squares / kDraws - average * average) / kDraws);
    EXPECT_NEAR(ExpectedImprovement(mean, deviation, best), average, 5 * error);
  }
}

TEST(LogExpectedImprovementTest, IsTheLogarithmWhereThatCanBeTaken) {
  for (double mean = -4; mean <= 25; mean += 0.37)
    for (double deviation : {0.5, 1.0, 3.0}) {
      const double improvement = ExpectedImprovement(mean, deviation, 0.2);
      // Past z = -5 the closed form loses digits to cancellation itself.
      if ((0.2 - mean) / deviation < -5) continue;
      EXPECT_NEAR(LogExpectedImprovement(mean, deviation, 0.2).value, std::log(improvement), 1e-8) << mean;
    }
}

TEST(LogExpectedImprovementTest, TailFollowsTheAsymptoticSeries) {
  // h(z) ~ φ(z)/z² (1 - 3/z² + 15/z⁴ - 105/z⁶) as z -> -∞ (Abramowitz and Stegun 26.2.12).
  for (double z : {-15.0, -30.0, -200.0, -999.0, -1001.0, -1e5}) {
    const double y = 1 / (z * z);
    const double series = -0.5 * z * z - 0.5 * std::log(2 * M_PI) - 2 * std::log(-z) +
                          std::log1p(-3 * y + 15 * y * y - 105 * y * y * y);
    EXPECT_NEAR(LogExpectedImprovement(-z, 1, 0).value / series, 1, 1e-7) << z;
  }
}

TEST(LogExpectedImprovementTest, DerivativesMatchFiniteDifferences) {
  for (double mean : {-2.0, 0.0, 0.9, 1.1, 5.0, 40.0, 2000.0})
    for (double deviation : {0.3, 1.0, 4.0}) {
      const LogImprovement at = LogExpectedImprovement(mean, deviation, 0.1);
      const double h = 1e-5;
      const double by_mean = (LogExpectedImprovement(mean + h, deviation, 0.1).value -
                              LogExpectedImprovement(mean - h, deviation, 0.1).value) /
                             (2 * h);
      const double by_deviation = (LogExpectedImprovement(mean, deviation + h, 0.1).value -
                                   LogExpectedImprovement(mean, deviation - h, 0.1).value) /
                                  (2 * h);
      EXPECT_NEAR(at.by_mean, by_mean, 1e-4 * (1 + std::abs(by_mean))) << mean << " " << deviation;
      EXPECT_NEAR(at.by_deviation, by_deviation, 1e-4 * (1 + std::abs(by_deviation)))
          << mean << " " << deviation;
    }
}

TEST(LogExpectedImprovementTest, GradientAtAPointMatchesFiniteDifferences) {
  Rng rng(5);
  constexpr Eigen::Index kPoints = 12, kDimensions = 4;
  Samples samples{Eigen::MatrixXd(kPoints, kDimensions), Eigen::VectorXd(kPoints), {0, 1, 2, 2}, 3};
  for (Eigen::Index i = 0; i < kPoints; ++i) {
    for (Eigen::Index d = 0; d < kDimensions; ++d) samples.points(i, d) = rng.Uniform();
    samples.outputs[i] = rng.Normal();
  }
  const Gp gp(samples, Hyper{Eigen::Vector3d(-0.5, 0.2, -1), 0.3, -3});
  for (int trial = 0; trial < 10; ++trial) {
    Eigen::VectorXd x(kDimensions), gradient, unused;
    for (double& u : x) u = rng.Uniform();
    const double value = LogExpectedImprovement(gp, -1, x, gradient);
    EXPECT_NEAR(LogExpectedImprovement(gp, -1, Eigen::MatrixXd(x))[0], value, 1e-9);
    for (Eigen::Index d = 0; d < kDimensions; ++d) {
      Eigen::VectorXd up = x, down = x;
      up[d] += 1e-6;
      down[d] -= 1e-6;
      const double slope =
          (LogExpectedImprovement(gp, -1, up, unused) - LogExpectedImprovement(gp, -1, down, unused)) / 2e-6;
      EXPECT_NEAR(gradient[d], slope, 1e-4 * (1 + std::abs(slope)));
    }
  }
}

}  // namespace
}  // namespace strop::tune::gp
