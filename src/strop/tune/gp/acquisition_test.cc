#include "strop/tune/gp/acquisition.h"

#include <cmath>

#include <gtest/gtest.h>
#include <Eigen/Cholesky>

#include "strop/base/rng.h"
#include "strop/tune/gp/noisy_ei.h"

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

constexpr Eigen::Index kDimensions = 4;

Samples RandomSamples(uint64_t seed, Eigen::Index points = 12) {
  Rng rng(seed);
  Samples samples{Eigen::MatrixXd(points, kDimensions), Eigen::VectorXd(points), {0, 1, 2, 2}, 3};
  for (Eigen::Index i = 0; i < points; ++i) {
    for (Eigen::Index d = 0; d < kDimensions; ++d) samples.points(i, d) = rng.Uniform();
    samples.outputs[i] = rng.Normal();
  }
  return samples;
}

const Hyper kHyper{Eigen::Vector3d(-0.5, 0.2, -1), 0.3, -3};

void ExpectGradientMatchesFiniteDifferences(const Acquisition& acquisition) {
  Rng rng(50);
  for (int trial = 0; trial < 10; ++trial) {
    Eigen::VectorXd x(kDimensions), gradient, unused;
    for (double& u : x) u = rng.Uniform();
    const double value = acquisition.At(x, gradient);
    EXPECT_NEAR(acquisition.At(Eigen::MatrixXd(x))[0], value, 1e-9);
    for (Eigen::Index d = 0; d < kDimensions; ++d) {
      Eigen::VectorXd up = x, down = x;
      up[d] += 1e-6;
      down[d] -= 1e-6;
      const double slope = (acquisition.At(up, unused) - acquisition.At(down, unused)) / 2e-6;
      EXPECT_NEAR(gradient[d], slope, 1e-4 * (1 + std::abs(slope)));
    }
  }
}

TEST(AcquisitionTest, GradientsMatchFiniteDifferences) {
  const Gp gp(RandomSamples(5), kHyper);
  ExpectGradientMatchesFiniteDifferences(LogEi(gp, -1));
  ExpectGradientMatchesFiniteDifferences(ConfidenceBound(gp, 2));
  const LogEi gain(gp, -1);
  std::vector<FeasibleGain::Limit> limits{{Gp(RandomSamples(6), kHyper), 0.1},
                                          {Gp(RandomSamples(7), kHyper), -2}};
  ExpectGradientMatchesFiniteDifferences(FeasibleGain(limits, &gain));
  ExpectGradientMatchesFiniteDifferences(FeasibleGain(limits, nullptr));
  Eigen::MatrixXd pending = Eigen::MatrixXd::Constant(kDimensions, 2, 0.4);
  pending.col(1).setConstant(0.8);
  ExpectGradientMatchesFiniteDifferences(NoisyLogEi(gp, kHyper, pending, 1));
}

TEST(LogNormalDistributionTest, KnownValues) {
  // Abramowitz and Stegun, table 26.1 and 26.2.
  EXPECT_NEAR(LogNormalDistribution(0).value, std::log(0.5), 1e-15);
  EXPECT_NEAR(LogNormalDistribution(1).value, std::log(0.841344746068543), 1e-13);
  EXPECT_NEAR(LogNormalDistribution(-2).value, std::log(0.0227501319481792), 1e-12);
  EXPECT_NEAR(LogNormalDistribution(-10).value / M_LN10, -23.11805, 1e-5);
  for (double z : {-30.0, -3.0, -0.9, 2.0})
    EXPECT_NEAR(LogNormalDistribution(z).by_z,
                (LogNormalDistribution(z + 1e-6).value - LogNormalDistribution(z - 1e-6).value) / 2e-6, 1e-6);
}

TEST(FeasibleGainTest, IsTheLogProbabilityOfEveryConstraint) {
  const Gp gp(RandomSamples(6), kHyper);
  const Eigen::MatrixXd x = Eigen::MatrixXd::Constant(kDimensions, 1, 0.3);
  Eigen::VectorXd mean, deviation;
  gp.Predict(x, mean, deviation);
  const double one = 0.5 * std::erfc(-(0.1 - mean[0]) / deviation[0] * M_SQRT1_2);
  EXPECT_NEAR(FeasibleGain({{gp, 0.1}, {gp, 0.1}}, nullptr).At(x)[0], 2 * std::log(one), 1e-12);
}

TEST(NoisyLogEiTest, WithoutNoiseIsTheClosedForm) {
  Hyper hyper = kHyper;
  hyper.log_noise = std::log(1e-6);
  const Samples samples = RandomSamples(8);
  const Gp gp(samples, hyper);
  const NoisyLogEi noisy(gp, hyper, Eigen::MatrixXd(kDimensions, 0), 3);
  const LogEi closed(gp, samples.outputs.minCoeff());
  Rng rng(9);
  Eigen::MatrixXd queries(kDimensions, 20);
  for (double& u : queries.reshaped()) u = rng.Uniform();
  const Eigen::VectorXd a = noisy.At(queries), b = closed.At(queries);
  for (Eigen::Index i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 0.02 * (1 + std::abs(b[i]))) << i;
}

TEST(NoisyLogEiTest, ImprovesOverWhatPendingTrialsMayFind) {
  // Where a trial already runs there is little left to gain; far from it nothing has changed.
  const Gp gp(RandomSamples(10), kHyper);
  const Eigen::MatrixXd here = Eigen::MatrixXd::Constant(kDimensions, 1, 0.6);
  const NoisyLogEi alone(gp, kHyper, Eigen::MatrixXd(kDimensions, 0), 3), beside(gp, kHyper, here, 3);
  EXPECT_LT(beside.At(here)[0], alone.At(here)[0] - 1);
}

TEST(NoisyLogEiTest, AgreesWithMonteCarloOverTheWholeProcess) {
  // Draws of the function at all samples, a pending point and the query together, and the improvement of
  // each.
  const Samples samples = RandomSamples(11, 8);
  const Gp gp(samples, kHyper);
  Eigen::MatrixXd points(kDimensions, 10);
  points.leftCols(8) = samples.points.transpose();
  points.col(8).setConstant(0.2);
  Eigen::Index lowest;
  samples.outputs.minCoeff(&lowest);
  points.col(9) = points.col(lowest).array() + 0.1;
  Eigen::VectorXd mean;
  Eigen::MatrixXd covariance;
  gp.PredictTogether(points, mean, covariance);
  covariance.diagonal().array() += 1e-9;
  const Eigen::MatrixXd factor = Eigen::LLT<Eigen::MatrixXd>(covariance).matrixL();
  Rng rng(12);
  double sum = 0;
  constexpr int kDraws = 200000;
  for (int s = 0; s < kDraws; ++s) {
    Eigen::VectorXd normal(10);
    for (double& z : normal) z = rng.Normal();
    const Eigen::VectorXd f = mean + factor * normal;
    sum += std::max(0.0, f.head(9).minCoeff() - f[9]);
  }
  constexpr int kSeeds = 50;
  double mean_of_seeds = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed)
    mean_of_seeds +=
        std::exp(NoisyLogEi(gp, kHyper, points.col(8), seed).At(Eigen::MatrixXd(points.col(9)))[0]);
  EXPECT_NEAR(mean_of_seeds / kSeeds / (sum / kDraws), 1, 0.03);
}

}  // namespace
}  // namespace strop::tune::gp
