#include "strop/tune/tpe/tpe_sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "strop/tune/ranking.h"
#include "strop/tune/tpe/parzen.h"

namespace strop::tune::tpe {
namespace {

constexpr int64_t kStartupTrials = 10;
constexpr Eigen::Index kCandidates = 24;
constexpr int kRounds = 8;  // of candidates, where all of them are taken
constexpr double kUniformWeight = 1;
constexpr size_t kMostGood = 25;
constexpr size_t kOthers = 128;  // of more, evenly spaced ones stand for all

struct Split {
  std::vector<std::span<const double>> good, others;
};

Split SplitTrials(const Question& question, const std::vector<size_t>& best, Rng& rng) {
  const size_t count = TpeSampler::GoodCount(best.size());
  std::vector<bool> good(question.finished.size());
  for (size_t i = 0; i < count; ++i) good[best[i]] = true;
  Split split;
  const double keep = std::min(1.0, static_cast<double>(kOthers) / static_cast<double>(good.size() - count));
  double kept = rng.Uniform();
  for (size_t i = 0; i < good.size(); ++i) {
    if (good[i]) {
      split.good.emplace_back(question.finished[i].draw);
    } else if (std::floor(kept + keep) > std::floor(std::exchange(kept, kept + keep))) {
      split.others.emplace_back(question.finished[i].draw);
    }
  }
  for (const Observation& trial : question.pending) split.others.emplace_back(trial.draw);
  return split;
}

}  // namespace

size_t TpeSampler::GoodCount(size_t valued) { return std::min<size_t>(kMostGood, (valued + 9) / 10); }

Suggestion TpeSampler::Ask(const Question& question) const {
  const std::vector<size_t> best = BestFirst(question.finished, kMostGood);
  if (question.trial < kStartupTrials || best.size() < 2) return AskSobol(question);

  const Space& space = question.space;
  Rng rng(question.seed, static_cast<uint64_t>(question.trial));
  const Split split = SplitTrials(question, best, rng);
  std::vector<std::span<const double>> all = split.good;
  all.insert(all.end(), split.others.begin(), split.others.end());
  const std::vector<Group> groups = GroupParameters(space, all);
  const Parzen good(space, groups, split.good, std::vector<double>(split.good.size(), 1.0), kUniformWeight);
  const Parzen others(space, groups, split.others, std::vector<double>(split.others.size(), 1.0),
                      kUniformWeight);

  const Taken taken(question);
  std::vector<double> draw(space.size(), 0.5);
  for (int round = 0; round < kRounds; ++round) {
    const Eigen::MatrixXd candidates = good.Sample(kCandidates, rng);
    const Eigen::VectorXd ratios = good.LogDensity(candidates) - others.LogDensity(candidates);
    double top = -INFINITY;
    for (Eigen::Index c = 0; c < kCandidates; ++c) {
      const std::span<const double> candidate(candidates.col(c).data(), space.size());
      if (ratios[c] <= top || taken.Holds(candidate)) continue;
      top = ratios[c];
      draw.assign(candidate.begin(), candidate.end());
    }
    if (top > -INFINITY) break;
  }
  return {space.FromDraw(taken.Free(std::move(draw), rng)), "tpe", "", ""};
}

}  // namespace strop::tune::tpe
