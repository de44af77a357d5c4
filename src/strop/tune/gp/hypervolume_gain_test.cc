#include "strop/tune/gp/hypervolume_gain.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "strop/base/rng.h"

namespace strop::tune::gp {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using Rows = std::vector<std::vector<double>>;

Rows RandomFront(size_t count, size_t objectives, uint64_t seed) {
  Rng rng(seed);
  Rows rows(count, std::vector<double>(objectives));
  for (auto& row : rows)
    for (double& x : row) x = rng.Uniform();
  const std::vector<size_t> ranks = NonDominatedRanks(rows);
  Rows front;
  for (size_t i = 0; i < rows.size(); ++i)
    if (ranks[i] == 0) front.push_back(rows[i]);
  return front;
}

TEST(NonDominatedBoxesTest, CoverWhatTheFrontDoesNotDominateOnce) {
  for (size_t objectives : {1u, 2u, 3u, 4u}) {
    const Rows front = RandomFront(20, objectives, objectives);
    const std::vector<double> reference(objectives, 1.2);
    const std::vector<Box> boxes = NonDominatedBoxes(front, reference);
    double volume = 0;  // of their parts above zero
    for (const Box& box : boxes) {
      double one = 1;
      for (size_t k = 0; k < objectives; ++k) one *= std::max(0.0, box.high[k] - std::max(0.0, box.low[k]));
      volume += one;
    }
    EXPECT_NEAR(volume + Hypervolume(front, reference), std::pow(1.2, static_cast<double>(objectives)), 1e-9)
        << objectives;
  }
}

// Processes of two or three objectives over one parameter.
std::vector<Gp> Processes(size_t objectives) {
  std::vector<Gp> processes;
  for (size_t k = 0; k < objectives; ++k) {
    Samples samples;
    samples.points = VectorXd::LinSpaced(5, 0, 1);
    samples.outputs = (samples.points.col(0).array() - 0.3 * static_cast<double>(k)).square() * 4 - 0.5;
    samples.group = {0};
    samples.groups = 1;
    const Hyper hyper = Prior(1).Mode(1);
    processes.emplace_back(std::move(samples), hyper);
  }
  return processes;
}

TEST(HypervolumeGainTest, IsTheLogOfTheExpectedGainInHypervolume) {
  for (size_t objectives : {2u, 3u}) {
    const Rows front = RandomFront(12, objectives, 5);
    const std::vector<double> reference(objectives, 1.1);
    const std::vector<Gp> processes = Processes(objectives);
    const HypervolumeGain gain(processes, front, reference);
    const double before = Hypervolume(front, reference);
    for (double x : {0.13, 0.25, 0.4}) {
      const MatrixXd query = MatrixXd::Constant(1, 1, x);
      VectorXd mean, deviation;
      double sum = 0;
      const int draws = 20'000;
      Rng rng(9);
      for (int i = 0; i < draws; ++i) {
        Rows more = front;
        std::vector<double> drawn;
        for (const Gp& process : processes) {
          process.Predict(query, mean, deviation);
          drawn.push_back(mean[0] + deviation[0] * rng.Normal());
        }
        more.push_back(std::move(drawn));
        sum += Hypervolume(more, reference) - before;
      }
      EXPECT_NEAR(std::exp(gain.At(query)[0]) / (sum / draws), 1, 0.05) << objectives << " " << x;
    }
  }
}

TEST(HypervolumeGainTest, TheGradientIsThatOfFiniteDifferences) {
  for (size_t objectives : {2u, 3u}) {
    const HypervolumeGain gain(Processes(objectives), RandomFront(12, objectives, 5),
                               std::vector<double>(objectives, 1.1));
    for (double x : {0.13, 0.4, 0.87}) {
      VectorXd slope, unused;
      const double value = gain.At(VectorXd::Constant(1, x), slope);
      EXPECT_NEAR(value, gain.At(MatrixXd::Constant(1, 1, x))[0], 1e-9);
      const double h = 1e-5;
      const double difference =
          (gain.At(VectorXd::Constant(1, x + h), unused) - gain.At(VectorXd::Constant(1, x - h), unused)) /
          (2 * h);
      EXPECT_NEAR(slope[0], difference, 1e-4 * std::max(1.0, std::abs(difference))) << objectives << " " << x;
    }
  }
}

TEST(HypervolumeGainTest, IsFiniteWhereTheGainItselfVanishes) {
  // A front that no draw from the processes comes near.
  const HypervolumeGain gain(Processes(2), Rows{{-40, -50}, {-50, -40}}, {-30, -30});
  VectorXd slope;
  EXPECT_TRUE(std::isfinite(gain.At(VectorXd::Constant(1, 0.4), slope)));
  EXPECT_TRUE(std::isfinite(slope[0]));
  EXPECT_NE(slope[0], 0);
}

}  // namespace
}  // namespace strop::tune::gp
