#include "strop/tune/gp/gp_sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "strop/base/rng.h"
#include "strop/tune/gp/acquisition.h"
#include "strop/tune/gp/gp.h"
#include "strop/tune/gp/history.h"
#include "strop/tune/gp/noisy_ei.h"
#include "strop/tune/gp/search.h"
#include "strop/tune/gp/warp.h"

namespace strop::tune::gp {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr size_t kGood = 4;  // best trials around which is looked
constexpr int64_t kDoubt = 3;
constexpr double kBeta = 2;  // of the confidence bound
// The noise, in shares of the values' variance, from which they are noisy. Of functions without noise the fit
// finds less than a thousandth, unless they jump about from trial to trial, which asks for the same.
constexpr double kNoisy = 0.01;

bool Doubts(const Question& question) { return question.trial % kDoubt == 0; }

Hyper HyperOf(const Question& question, const Samples& samples) {
  return Doubts(question) ? Prior(samples.groups).Mode(samples.groups) : FitHyper(samples);
}

// The process with the running trials added, at the values that it expects of them.
Gp Believe(const Gp& gp, const Hyper& hyper, const MatrixXd& pending) {
  if (pending.cols() == 0) return gp;
  Samples samples = gp.samples();
  VectorXd mean, deviation;
  gp.Predict(pending, mean, deviation);
  const Eigen::Index n = samples.outputs.size();
  samples.points.conservativeResize(n + pending.cols(), Eigen::NoChange);
  samples.points.bottomRows(pending.cols()) = pending.transpose();
  samples.outputs.conservativeResize(n + pending.cols());
  samples.outputs.tail(pending.cols()) = mean;
  return Gp(std::move(samples), hyper);
}

// A process an outcome constraint, of the trials that told of it.
std::vector<FeasibleGain::Limit> Limits(const Question& question, const std::vector<size_t>& chosen) {
  std::vector<FeasibleGain::Limit> limits;
  size_t constraints = 0;
  for (size_t trial : chosen) constraints = std::max(constraints, question.finished[trial].violations.size());
  for (size_t c = 0; c < constraints; ++c) {
    std::vector<size_t> told;
    for (size_t trial : chosen)
      if (question.finished[trial].violations.size() > c) told.push_back(trial);
    Samples samples = PointsOf(question, told);
    samples.outputs.resize(static_cast<Eigen::Index>(told.size()));
    for (size_t i = 0; i < told.size(); ++i)
      samples.outputs[static_cast<Eigen::Index>(i)] = question.finished[told[i]].violations[c];
    const double mean = samples.outputs.mean();
    samples.outputs.array() -= mean;
    const double deviation =
        std::max(1e-12, std::sqrt(samples.outputs.squaredNorm() / static_cast<double>(told.size())));
    samples.outputs /= deviation;
    const Hyper hyper = HyperOf(question, samples);
    limits.push_back({Gp(std::move(samples), hyper), -mean / deviation});
  }
  return limits;
}

// The lowest value that the process expects of a feasible finished trial: under noise the lowest observation
// is too good to be true. Not a number when none is feasible.
double Lowest(const Gp& gp, const Question& question, const std::vector<size_t>& chosen) {
  VectorXd mean, deviation;
  gp.Predict(gp.samples().points.transpose(), mean, deviation);
  double lowest = std::nan("");
  for (size_t i = 0; i < chosen.size(); ++i)
    if (question.finished[chosen[i]].feasible())
      lowest = std::fmin(lowest, mean[static_cast<Eigen::Index>(i)]);
  return lowest;
}

std::vector<Draw> Good(const Question& question, const std::vector<size_t>& ascending) {
  std::vector<Draw> good;
  for (size_t trial : ascending) {
    if (good.size() == kGood) break;
    if (!question.finished[trial].losses.empty()) good.push_back(question.finished[trial].draw);
  }
  return good;
}

}  // namespace

int64_t GpSampler::StartupTrials(const Space& space) {
  return std::clamp<int64_t>(static_cast<int64_t>(space.size()) + 2, 4, 10);
}

Suggestion GpSampler::Ask(const Question& question) const {
  const auto valued = std::count_if(question.finished.begin(), question.finished.end(),
                                    [](const Observation& trial) { return !trial.losses.empty(); });
  if (question.trial < StartupTrials(question.space) || valued < 3) return AskSobol(question);

  const std::vector<double> losses = Losses(question);
  const std::vector<size_t> ascending = Ascending(losses), chosen = Limited(ascending);
  Samples samples = PointsOf(question, chosen);
  samples.outputs.resize(static_cast<Eigen::Index>(chosen.size()));
  for (size_t i = 0; i < chosen.size(); ++i)
    samples.outputs[static_cast<Eigen::Index>(i)] = losses[chosen[i]];
  samples.outputs = WarpOutputs(samples.outputs);
  const Hyper hyper = HyperOf(question, samples);
  const Gp known(std::move(samples), hyper);
  const double noise = std::exp(hyper.log_noise);
  const bool by_noise = gain_ == Gain::kByNoise && noise > kNoisy;
  const bool monte_carlo = gain_ == Gain::kNoisyLogEi || by_noise;
  const MatrixXd pending = PendingPoints(question);
  const double lowest = Lowest(known, question, chosen);

  const Gp gp = monte_carlo ? known : Believe(known, hyper, pending);
  std::unique_ptr<Acquisition> gain;
  if (monte_carlo)
    gain =
        std::make_unique<NoisyLogEi>(known, hyper, pending, MixSeed(question.seed, question.finished.size()));
  else if (gain_ == Gain::kConfidenceBound)
    gain = std::make_unique<ConfidenceBound>(gp, kBeta);
  else
    gain = std::make_unique<LogEi>(gp, lowest);
  std::vector<FeasibleGain::Limit> limits = Limits(question, chosen);
  const FeasibleGain feasible(std::move(limits), std::isnan(lowest) ? nullptr : gain.get());

  Rng rng(question.seed, static_cast<uint64_t>(question.trial));
  const Taken taken(question);
  std::optional<Draw> draw =
      MaximizeAcquisition(question.space, taken, feasible, Good(question, ascending), rng);
  if (!draw) draw = taken.Free(Draw(question.space.size(), 0.5), rng);
  std::string reason;
  if (by_noise)
    reason = fmt::format("noise is {:.0f}% of the values' variance: a Monte Carlo gain", 100 * noise);
  return {question.space.FromDraw(*draw), "gp", std::move(reason), ""};
}

}  // namespace strop::tune::gp
