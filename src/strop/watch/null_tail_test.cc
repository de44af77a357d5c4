#include "strop/watch/null_tail.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "strop/base/rng.h"

namespace strop::watch {
namespace {

// Chi-square tables: one weight of 1 a degree of freedom. The approximation is weakest for one degree.
TEST(NullTail, AgreesWithChiSquareTables) {
  EXPECT_NEAR(QuadraticFormTail(std::vector<double>(1, 1.0), 3.841) / 0.05, 1, 0.10);
  EXPECT_NEAR(QuadraticFormTail(std::vector<double>(2, 1.0), 2 * std::log(1000.0)) / 0.001, 1, 0.04);
  EXPECT_NEAR(QuadraticFormTail(std::vector<double>(10, 1.0), 29.588) / 0.001, 1, 0.01);
  EXPECT_NEAR(QuadraticFormTail(std::vector<double>(10, 1.0), 3.940) / 0.95, 1, 0.01);
  EXPECT_NEAR(QuadraticFormQuantile(std::vector<double>(100, 1.0), 0.001), 149.449, 0.05);
}

// Imhof, "Computing the distribution of quadratic forms in normal variables", Biometrika 48, 1961, table 1.
TEST(NullTail, AgreesWithImhofsTable) {
  const std::vector<double> weights = {0.6, 0.3, 0.1};
  EXPECT_NEAR(QuadraticFormTail(weights, 0.1), 0.9458, 0.01);
  EXPECT_NEAR(QuadraticFormTail(weights, 0.7), 0.5064, 0.012);
  EXPECT_NEAR(QuadraticFormTail(weights, 2.0), 0.1240, 0.005);
}

TEST(NullTail, AgreesWithDraws) {
  std::vector<double> weights;
  for (int i = 1; i <= 20; ++i) weights.push_back(1.0 / (i * i));
  const double q = QuadraticFormQuantile(weights, 0.01);
  Rng rng(5);
  int above = 0;
  const int kDraws = 100'000;
  for (int draw = 0; draw < kDraws; ++draw) {
    double sum = 0;
    for (const double weight : weights) sum += weight * std::pow(rng.Normal(), 2);
    above += sum > q;
  }
  // Four standard deviations of the count, and the approximation's own error.
  EXPECT_NEAR(above, 1000, 4 * std::sqrt(1000) + 50);
}

TEST(NullTail, FallsWithoutJumps) {
  const std::vector<double> weights = {3, 1, 1, 0.5, 0};
  double before = 1;
  for (double q = 0.05; q < 60; q += 0.05) {
    const double tail = QuadraticFormTail(weights, q);
    EXPECT_LE(tail, before + 1e-9) << q;
    EXPECT_LT(before - tail, 0.05) << q;
    before = tail;
  }
  EXPECT_LT(before, 1e-4);
  EXPECT_NEAR(QuadraticFormTail(weights, QuadraticFormQuantile(weights, 1e-9)), 1e-9, 1e-12);
}

}  // namespace
}  // namespace strop::watch
