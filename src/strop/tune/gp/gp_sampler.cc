#include "strop/tune/gp/gp_sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "strop/base/rng.h"
#include "strop/tune/gp/acquisition.h"
#include "strop/tune/gp/gp.h"
#include "strop/tune/gp/history.h"
#include "strop/tune/gp/hypervolume_gain.h"
#include "strop/tune/gp/noisy_ei.h"
#include "strop/tune/gp/search.h"
#include "strop/tune/gp/warp.h"

namespace strop::tune::gp {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr size_t kGood = 4;  // best trials around which is looked
constexpr int64_t kDoubt = 3;
constexpr double kBoxes = 3000;
constexpr double kBeta = 2;  // of the confidence bound

bool Doubts(const Question& question) { return question.trial % kDoubt == 0; }

// What is believed of one objective or constraint.
struct Belief {
  Hyper hyper;
  Gp gp;

  Belief(const Question& question, Samples samples)
      : hyper(Doubts(question) ? Prior(samples.groups).Mode(samples.groups) : FitHyper(samples)),
        gp(std::move(samples), hyper) {}
};

Belief Learn(const Question& question, const std::vector<size_t>& chosen, const VectorXd& losses) {
  Samples samples = PointsOf(question, chosen);
  samples.outputs = WarpOutputs(losses);
  return {question, std::move(samples)};
}

// The process with the running trials added, at the values that it expects of them.
Gp Expect(const Belief& belief, const MatrixXd& pending) {
  if (pending.cols() == 0) return belief.gp;
  Samples samples = belief.gp.samples();
  VectorXd mean, deviation;
  belief.gp.Predict(pending, mean, deviation);
  const Eigen::Index n = samples.outputs.size();
  samples.points.conservativeResize(n + pending.cols(), Eigen::NoChange);
  samples.points.bottomRows(pending.cols()) = pending.transpose();
  samples.outputs.conservativeResize(n + pending.cols());
  samples.outputs.tail(pending.cols()) = mean;
  return Gp(std::move(samples), belief.hyper);
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
    limits.push_back({Belief(question, std::move(samples)).gp, -mean / deviation});
  }
  return limits;
}

// What the process expects at its samples: under noise the lowest observation is too good to be true.
VectorXd Expected(const Gp& gp) {
  VectorXd mean, deviation;
  gp.Predict(gp.samples().points.transpose(), mean, deviation);
  return mean;
}

// The chosen trials that told their values and keep to the constraints, as places in `chosen`.
std::vector<Eigen::Index> Feasible(const Question& question, const std::vector<size_t>& chosen) {
  std::vector<Eigen::Index> feasible;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const Observation& trial = question.finished[chosen[i]];
    if (!trial.losses.empty() && trial.feasible()) feasible.push_back(static_cast<Eigen::Index>(i));
  }
  return feasible;
}

// Over the lowest value of a feasible trial.
std::unique_ptr<Acquisition> OneObjective(const Question& question, Gain gain,
                                          const std::vector<size_t>& chosen,
                                          const std::vector<Eigen::Index>& feasible) {
  const Belief belief = Learn(question, chosen, LossesOf(question, chosen, 0));
  const MatrixXd pending = PendingPoints(question);
  if (gain == Gain::kNoisyLogEi)
    return std::make_unique<NoisyLogEi>(belief.gp, belief.hyper, pending,
                                        MixSeed(question.seed, question.finished.size()));
  if (gain == Gain::kConfidenceBound)
    return std::make_unique<ConfidenceBound>(Expect(belief, pending), kBeta);
  return std::make_unique<LogEi>(Expect(belief, pending), Expected(belief.gp)(feasible).minCoeff());
}

// The rows of a front with the most space around them, as many as keep its boxes to about kBoxes: their
// number grows by a power of the rows.
std::vector<std::vector<double>> Thinned(std::vector<std::vector<double>> front) {
  const auto most = static_cast<size_t>(std::pow(kBoxes, 1 / static_cast<double>(front[0].size() - 1)));
  if (front.size() <= most) return front;
  const std::vector<double> space = CrowdingDistances(front);
  std::vector<size_t> order(front.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return space[a] > space[b]; });
  std::vector<std::vector<double>> thinned;
  for (size_t i = 0; i < most; ++i) thinned.push_back(std::move(front[order[i]]));
  return thinned;
}

// Over the front of the feasible trials, below a point a little worse than its worst values.
std::unique_ptr<Acquisition> SeveralObjectives(const Question& question, const std::vector<size_t>& chosen,
                                               const std::vector<Eigen::Index>& feasible) {
  const MatrixXd pending = PendingPoints(question);
  std::vector<Gp> objectives;
  std::vector<std::vector<double>> expected(feasible.size());
  for (size_t k = 0; k < question.objectives; ++k) {
    const Belief belief = Learn(question, chosen, LossesOf(question, chosen, k));
    const VectorXd means = Expected(belief.gp);
    for (size_t i = 0; i < feasible.size(); ++i) expected[i].push_back(means[feasible[i]]);
    objectives.push_back(Expect(belief, pending));
  }
  const std::vector<size_t> ranks = NonDominatedRanks(expected);
  std::vector<std::vector<double>> front;
  for (size_t i = 0; i < expected.size(); ++i)
    if (ranks[i] == 0) front.push_back(expected[i]);
  return std::make_unique<HypervolumeGain>(std::move(objectives), Thinned(front),
                                           ReferencePoint(front, expected));
}

std::vector<Draw> Good(const Question& question, const std::vector<size_t>& order) {
  std::vector<Draw> good;
  for (size_t trial : order) {
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

  const std::vector<size_t> order = BestToWorst(question), chosen = Limited(order);
  const std::vector<Eigen::Index> feasible = Feasible(question, chosen);
  std::unique_ptr<Acquisition> gain;
  if (!feasible.empty())
    gain = question.objectives > 1 ? SeveralObjectives(question, chosen, feasible)
                                   : OneObjective(question, gain_, chosen, feasible);
  const FeasibleGain feasible_gain(Limits(question, chosen), gain.get());

  Rng rng(question.seed, static_cast<uint64_t>(question.trial));
  const Taken taken(question);
  std::optional<Draw> draw =
      MaximizeAcquisition(question.space, taken, feasible_gain, Good(question, order), rng);
  if (!draw) draw = taken.Free(Draw(question.space.size(), 0.5), rng);
  return {question.space.FromDraw(*draw), "gp", "", ""};
}

}  // namespace strop::tune::gp
