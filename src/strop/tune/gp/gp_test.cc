#include "strop/tune/gp/gp.h"

#include <cmath>

#include <gtest/gtest.h>
#include <Eigen/LU>

#include "strop/base/rng.h"
#include "strop/tune/gp/lbfgs.h"
#include "strop/tune/gp/warp.h"

namespace strop::tune::gp {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

Samples Random(Eigen::Index n, uint64_t seed) {
  Rng rng(seed);
  Samples samples{MatrixXd(n, 3), VectorXd(n), {0, 1, 1}, 2};
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index d = 0; d < 3; ++d) samples.points(i, d) = rng.Uniform();
    samples.outputs[i] = std::sin(6 * samples.points(i, 0)) + 0.1 * rng.Normal();
  }
  return samples;
}

double Matern(const Samples& samples, const Hyper& hyper, const VectorXd& a, const VectorXd& b) {
  double r2 = 0;
  for (Eigen::Index d = 0; d < a.size(); ++d)
    r2 += std::pow((a[d] - b[d]) / std::exp(hyper.log_lengthscale[samples.group[static_cast<size_t>(d)]]), 2);
  const double r = std::sqrt(r2);
  return std::exp(hyper.log_signal) * (1 + std::sqrt(5.0) * r + 5 * r2 / 3) * std::exp(-std::sqrt(5.0) * r);
}

const Hyper kHyper{Eigen::Vector2d(-0.7, 0.4), 0.2, -2.5};

MatrixXd NaiveCovariance(const Samples& samples) {
  const Eigen::Index n = samples.outputs.size();
  MatrixXd k(n, n);
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < n; ++j)
      k(i, j) = Matern(samples, kHyper, samples.points.row(i), samples.points.row(j)) +
                (i == j ? std::exp(kHyper.log_noise) : 0);
  return k;
}

TEST(GpTest, KernelHasTheTextbooksValue) {
  // r = 1, s2 = 1: (1 + √5 + 5/3) exp(-√5).
  const Matern52 kernel({0}, Hyper{VectorXd::Zero(1), 0, -4});
  EXPECT_NEAR(kernel(VectorXd::Zero(1), VectorXd::Ones(1)), 0.52399411, 1e-8);
  EXPECT_EQ(kernel(VectorXd::Zero(1), VectorXd::Zero(1)), 1);
}

TEST(GpTest, PosteriorIsTheTextbookFormula) {
  const Samples samples = Random(15, 1);
  const MatrixXd inverse = NaiveCovariance(samples).inverse();
  const Gp gp(samples, kHyper);
  Rng rng(2);
  MatrixXd queries(3, 20);
  for (double& u : queries.reshaped()) u = rng.Uniform();
  VectorXd mean, deviation;
  gp.Predict(queries, mean, deviation);
  for (Eigen::Index q = 0; q < queries.cols(); ++q) {
    VectorXd k(15);
    for (Eigen::Index i = 0; i < 15; ++i)
      k[i] = Matern(samples, kHyper, samples.points.row(i), queries.col(q));
    EXPECT_NEAR(mean[q], k.dot(inverse * samples.outputs), 1e-6);
    EXPECT_NEAR(deviation[q], std::sqrt(std::exp(kHyper.log_signal) - k.dot(inverse * k)), 1e-6);
    const Gp::Point point = gp.PredictWithGradient(queries.col(q));
    EXPECT_NEAR(point.mean, mean[q], 1e-12);
    EXPECT_NEAR(point.deviation, deviation[q], 1e-12);
  }
}

TEST(GpTest, LogPosteriorIsTheTextbookFormula) {
  const Samples samples = Random(15, 3);
  const Prior prior(samples.groups);
  const MatrixXd k = NaiveCovariance(samples);
  auto penalty = [](double x, double mean, double deviation) {
    return -0.5 * std::pow((x - mean) / deviation, 2);
  };
  const double expected =
      -0.5 * samples.outputs.dot(k.inverse() * samples.outputs) - 0.5 * std::log(k.determinant()) -
      7.5 * std::log(2 * M_PI) + penalty(-0.7, -1 + 0.5 * std::log(2.0), 1) +
      penalty(0.4, -1 + 0.5 * std::log(2.0), 1) + penalty(0.2, 0, 1) + penalty(-2.5, -6, 1.5);
  VectorXd gradient;
  EXPECT_NEAR(LogPosterior(samples, prior)(kHyper.ToVector(), gradient), expected, 1e-6);
}

TEST(GpTest, LogPosteriorGradientMatchesFiniteDifferences) {
  const Samples samples = Random(25, 4);
  const LogPosterior posterior(samples, Prior(samples.groups));
  Rng rng(6);
  for (int trial = 0; trial < 5; ++trial) {
    VectorXd at = kHyper.ToVector(), gradient, unused;
    for (double& x : at) x += 0.5 * rng.Normal();
    posterior(at, gradient);
    for (Eigen::Index i = 0; i < at.size(); ++i) {
      VectorXd up = at, down = at;
      up[i] += 1e-5;
      down[i] -= 1e-5;
      const double slope = (posterior(up, unused) - posterior(down, unused)) / 2e-5;
      EXPECT_NEAR(gradient[i], slope, 1e-5 * (1 + std::abs(slope))) << i;
    }
  }
}

TEST(GpTest, FitSeesWhichParameterMatters) {
  const Hyper hyper = FitHyper(Random(60, 7));
  EXPECT_LT(hyper.log_lengthscale[0], hyper.log_lengthscale[1] - 0.7);
  EXPECT_NEAR(std::exp(hyper.log_noise), 0.01, 0.01);
}

TEST(GpTest, FitOfConstantOrRepeatedSamplesStaysFinite) {
  Samples samples = Random(20, 8);
  samples.outputs.setZero();
  samples.points.bottomRows(10) = samples.points.topRows(10);
  const Hyper hyper = FitHyper(samples);
  EXPECT_TRUE(hyper.ToVector().allFinite());
  VectorXd mean, deviation;
  Gp(samples, hyper).Predict(MatrixXd::Constant(3, 1, 0.5), mean, deviation);
  EXPECT_NEAR(mean[0], 0, 1e-9);
  EXPECT_TRUE(std::isfinite(deviation[0]));
}

TEST(LbfgsTest, FindsTheMinimumOfRosenbrocksFunction) {
  const Objective rosenbrock = [](const VectorXd& x, VectorXd& g) {
    g[0] = -400 * x[0] * (x[1] - x[0] * x[0]) - 2 * (1 - x[0]);
    g[1] = 200 * (x[1] - x[0] * x[0]);
    return 100 * std::pow(x[1] - x[0] * x[0], 2) + std::pow(1 - x[0], 2);
  };
  LbfgsOptions options;
  options.max_evaluations = 200;
  options.value_tolerance = 1e-16;
  const auto free = MinimizeLbfgs(rosenbrock, Eigen::Vector2d(-1.2, 1), Eigen::Vector2d(-5, -5),
                                  Eigen::Vector2d(5, 5), options);
  EXPECT_NEAR(free.x[0], 1, 1e-4);
  EXPECT_NEAR(free.x[1], 1, 1e-4);
  EXPECT_LT(free.evaluations, 100);
  // With x0 <= 0.5 the minimum is at (0.5, 0.25).
  const auto bound = MinimizeLbfgs(rosenbrock, Eigen::Vector2d(-1.2, 1), Eigen::Vector2d(-5, -5),
                                   Eigen::Vector2d(0.5, 5), options);
  EXPECT_NEAR(bound.x[0], 0.5, 1e-9);
  EXPECT_NEAR(bound.x[1], 0.25, 1e-4);
}

TEST(WarpTest, KeepsOrderStandardisesAndTamesTheWorse) {
  VectorXd outputs(7);
  outputs << 3, 1, 2, 1e30, 4, 2, 1e9;
  const VectorXd warped = WarpOutputs(outputs);
  EXPECT_NEAR(warped.mean(), 0, 1e-12);
  EXPECT_NEAR(warped.squaredNorm() / 7, 1, 1e-12);
  EXPECT_LT(warped.maxCoeff(), 3);
  for (int i = 0; i < 7; ++i)
    for (int j = 0; j < 7; ++j) EXPECT_EQ(outputs[i] < outputs[j], warped[i] < warped[j]) << i << " " << j;
  EXPECT_EQ(WarpOutputs(VectorXd::Constant(4, 5.0)), VectorXd::Zero(4));
}

}  // namespace
}  // namespace strop::tune::gp
