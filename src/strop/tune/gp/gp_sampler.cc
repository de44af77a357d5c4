#include "strop/tune/gp/gp_sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "strop/base/rng.h"
#include "strop/tune/gp/acquisition.h"
#include "strop/tune/gp/gp.h"
#include "strop/tune/gp/lbfgs.h"
#include "strop/tune/gp/warp.h"

namespace strop::tune::gp {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr size_t kMaxSamples = 1000;  // the cost of a suggestion grows with the cube
constexpr int kRandomCandidates = 256;
constexpr int kLocalCandidates = 64;
constexpr size_t kStarts = 4;
constexpr int64_t kDoubt = 3;
// Whole numbers up to this many values are tried one by one, others by their neighbours.
constexpr int64_t kFewValues = 8;

// Of very many trials, the better half of the limit and the latest.
std::vector<const Observation*> Limited(const Question& question, const std::vector<double>& losses) {
  std::vector<const Observation*> all;
  for (const Observation& trial : question.finished) all.push_back(&trial);
  if (all.size() <= kMaxSamples) return all;
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end() - kMaxSamples / 2,
                   [&](size_t a, size_t b) { return losses[a] < losses[b]; });
  std::vector<const Observation*> kept;
  for (size_t i = 0; i < kMaxSamples / 2; ++i) kept.push_back(all[order[i]]);
  for (size_t i = all.size() - kMaxSamples / 2; i < all.size(); ++i) kept.push_back(all[order[i]]);
  return kept;
}

Samples MakeSamples(const Question& question) {
  double worst = kNever;
  auto loss = [&](const Observation& trial) { return question.minimize ? *trial.value : -*trial.value; };
  for (const Observation& trial : question.finished)
    if (trial.value) worst = std::max(worst, loss(trial));
  auto loss_or_worst = [&](const Observation& trial) { return trial.value ? loss(trial) : worst; };

  std::vector<double> losses;
  for (const Observation& trial : question.finished) losses.push_back(loss_or_worst(trial));
  const std::vector<const Observation*> trials = Limited(question, losses);

  const Space& space = question.space;
  Samples samples;
  samples.points.resize(static_cast<Eigen::Index>(trials.size()),
                        static_cast<Eigen::Index>(space.dimensions()));
  samples.outputs.resize(static_cast<Eigen::Index>(trials.size()));
  for (size_t t = 0; t < trials.size(); ++t) {
    const std::vector<double> point = space.ToPoint(trials[t]->params);
    const auto row = static_cast<Eigen::Index>(t);
    samples.points.row(row) = Eigen::Map<const Eigen::RowVectorXd>(point.data(), samples.points.cols());
    samples.outputs[row] = loss_or_worst(*trials[t]);
  }
  samples.outputs = WarpOutputs(samples.outputs);
  samples.groups = static_cast<int>(space.parameters().size());
  for (size_t p = 0; p < space.parameters().size(); ++p)
    samples.group.insert(samples.group.end(), space.width(p), static_cast<int>(p));
  return samples;
}

// The process with the running trials added, at the values that it expects of them.
Gp Believe(const Gp& gp, const Hyper& hyper, const Question& question) {
  const auto extra = static_cast<Eigen::Index>(question.pending.size());
  Samples samples = gp.samples();
  MatrixXd points(samples.points.cols(), extra);
  for (Eigen::Index i = 0; i < extra; ++i) {
    const auto point = question.space.ToPoint(question.pending[static_cast<size_t>(i)].params);
    points.col(i) = Eigen::Map<const VectorXd>(point.data(), points.rows());
  }
  VectorXd mean, deviation;
  gp.Predict(points, mean, deviation);
  const Eigen::Index n = samples.outputs.size();
  samples.points.conservativeResize(n + extra, Eigen::NoChange);
  samples.points.bottomRows(extra) = points.transpose();
  samples.outputs.conservativeResize(n + extra);
  samples.outputs.tail(extra) = mean;
  return Gp(std::move(samples), hyper);
}

// A candidate is a draw: one number of [0, 1] a parameter, inactive ones included, so that a change of a
// choice finds values for the parameters that it makes active.
using Draw = std::vector<double>;

class Search {
 public:
  Search(const Question& question, const Gp& gp, double best)
      : space_(question.space), gp_(gp), best_(best), taken_(question) {}

  std::vector<double> Score(const std::vector<Draw>& draws) const {
    std::vector<double> scores(draws.size(), kNever);
    MatrixXd points(static_cast<Eigen::Index>(space_.dimensions()), static_cast<Eigen::Index>(draws.size()));
    std::vector<size_t> owner;
    for (size_t i = 0; i < draws.size(); ++i) {
      const Params params = space_.FromDraw(draws[i]);
      if (taken_.Holds(params)) continue;
      const std::vector<double> point = space_.ToPoint(params);
      points.col(static_cast<Eigen::Index>(owner.size())) =
          Eigen::Map<const VectorXd>(point.data(), points.rows());
      owner.push_back(i);
    }
    if (owner.empty()) return scores;
    const VectorXd log =
        LogExpectedImprovement(gp_, best_, points.leftCols(static_cast<Eigen::Index>(owner.size())));
    for (size_t i = 0; i < owner.size(); ++i) scores[owner[i]] = log[static_cast<Eigen::Index>(i)];
    return scores;
  }

  // Climbs from a draw until neither its numbers nor a single change improve it.
  void Improve(Draw& draw, double& score) const {
    for (int round = 0; round < 2; ++round) {
      const double before = score;
      ClimbNumbers(draw, score);
      if (!ChangeValues(draw, score) && round > 0) break;
      if (score - before < 1e-6) break;
    }
  }

 private:
  void ClimbNumbers(Draw& draw, double& score) const {
    const Params params = space_.FromDraw(draw);
    std::vector<size_t> free;
    for (size_t p = 0; p < draw.size(); ++p) {
      const int64_t values = space_.ValueCount(p);
      const bool choice = std::holds_alternative<ChoiceList>(space_.parameters()[p].domain);
      if (!choice && (values == 0 || values > kFewValues) && space_.Active(p, params)) free.push_back(p);
    }
    if (free.empty()) return;
    const std::vector<double> point = space_.ToPoint(params);
    VectorXd x = Eigen::Map<const VectorXd>(point.data(), static_cast<Eigen::Index>(point.size()));
    VectorXd full_gradient;
    const Objective loss = [&](const VectorXd& u, VectorXd& gradient) {
      for (size_t i = 0; i < free.size(); ++i)
        x[static_cast<Eigen::Index>(space_.offset(free[i]))] = u[static_cast<Eigen::Index>(i)];
      const double value = LogExpectedImprovement(gp_, best_, x, full_gradient);
      for (size_t i = 0; i < free.size(); ++i)
        gradient[static_cast<Eigen::Index>(i)] =
            -full_gradient[static_cast<Eigen::Index>(space_.offset(free[i]))];
      return -value;
    };
    const auto size = static_cast<Eigen::Index>(free.size());
    VectorXd start(size);
    for (Eigen::Index i = 0; i < size; ++i) start[i] = draw[free[static_cast<size_t>(i)]];
    LbfgsOptions options;
    options.max_evaluations = 30;
    options.gradient_tolerance = 1e-4;
    options.value_tolerance = 1e-6;
    const LbfgsResult result =
        MinimizeLbfgs(loss, start, VectorXd::Zero(size), VectorXd::Ones(size), options);
    Draw moved = draw;
    for (Eigen::Index i = 0; i < size; ++i) moved[free[static_cast<size_t>(i)]] = result.x[i];
    // Whole numbers round here, so the score is taken anew.
    Accept({moved}, draw, score);
  }

  bool ChangeValues(Draw& draw, double& score) const {
    bool changed = false;
    for (size_t step = 0; step < 2 * draw.size(); ++step) {
      const Params params = space_.FromDraw(draw);
      std::vector<Draw> neighbours;
      for (size_t p = 0; p < draw.size(); ++p) {
        const Parameter& parameter = space_.parameters()[p];
        const int64_t values = space_.ValueCount(p);
        if (values <= 1 || !space_.Active(p, params)) continue;
        const bool choice = std::holds_alternative<ChoiceList>(parameter.domain);
        const int64_t now = space_.IndexOf(p, params.at(parameter.name));
        const bool all = choice || values <= kFewValues;
        for (int64_t v = all ? 0 : std::max<int64_t>(0, now - 1);
             v < (all ? values : std::min(values, now + 2)); ++v) {
          if (v == now) continue;
          Draw neighbour = draw;
          neighbour[p] = choice ? (static_cast<double>(v) + 0.5) / static_cast<double>(values)
                                : Space::ToUnit(parameter, space_.ValueAt(p, v));
          neighbours.push_back(std::move(neighbour));
        }
      }
      if (neighbours.empty() || !Accept(neighbours, draw, score)) break;
      changed = true;
    }
    return changed;
  }

  bool Accept(const std::vector<Draw>& candidates, Draw& draw, double& score) const {
    const std::vector<double> scores = Score(candidates);
    const auto top = static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    if (!(scores[top] > score)) return false;
    draw = candidates[top];
    score = scores[top];
    return true;
  }

  const Space& space_;
  const Gp& gp_;
  double best_;
  Taken taken_;
};

Draw DrawOf(const Space& space, const Params& params, Rng& rng) {
  Draw draw(space.parameters().size());
  for (size_t p = 0; p < draw.size(); ++p) {
    const Parameter& parameter = space.parameters()[p];
    const auto found = params.find(parameter.name);
    draw[p] = rng.Uniform();
    if (found == params.end()) continue;
    if (!std::holds_alternative<ChoiceList>(parameter.domain)) {
      draw[p] = Space::ToUnit(parameter, found->second);
    } else if (const int64_t index = space.IndexOf(p, found->second); index >= 0) {
      draw[p] = (static_cast<double>(index) + 0.5) / static_cast<double>(space.ValueCount(p));
    }
  }
  return draw;
}

// Uniform draws, and small and large steps away from the best trials.
std::vector<Draw> Candidates(const Question& question, Rng& rng) {
  const Space& space = question.space;
  std::vector<Draw> draws;
  for (int i = 0; i < kRandomCandidates; ++i) {
    Draw draw(space.parameters().size());
    for (double& u : draw) u = rng.Uniform();
    draws.push_back(std::move(draw));
  }
  std::vector<const Observation*> best;
  for (const Observation& trial : question.finished)
    if (trial.value) best.push_back(&trial);
  const size_t kept = std::min<size_t>(4, best.size());
  std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(kept), best.end(),
                    [&](const Observation* a, const Observation* b) {
                      if (*a->value != *b->value) return (*a->value < *b->value) == question.minimize;
                      return a->number < b->number;
                    });
  const double some = 1 / static_cast<double>(std::max<size_t>(1, space.parameters().size()));
  for (int i = 0; i < kLocalCandidates; ++i) {
    Draw draw = DrawOf(space, best[static_cast<size_t>(i) % kept]->params, rng);
    const double width = std::pow(10.0, -0.5 - 2 * rng.Uniform());
    for (size_t p = 0; p < draw.size(); ++p) {
      if (std::holds_alternative<ChoiceList>(space.parameters()[p].domain)) {
        if (rng.Uniform() < some) draw[p] = rng.Uniform();
      } else {
        draw[p] = std::clamp(draw[p] + width * rng.Normal(), 0.0, 1.0);
      }
    }
    draws.push_back(std::move(draw));
  }
  return draws;
}

}  // namespace

int64_t GpSampler::StartupTrials(const Space& space) {
  return std::clamp<int64_t>(static_cast<int64_t>(space.parameters().size()) + 2, 4, 10);
}

Params GpSampler::Ask(const Question& question) const {
  const auto valued = std::count_if(question.finished.begin(), question.finished.end(),
                                    [](const Observation& trial) { return trial.value.has_value(); });
  if (question.trial < StartupTrials(question.space) || valued < 3) return AskSobol(question);

  Samples samples = MakeSamples(question);
  const Hyper hyper =
      question.trial % kDoubt == 0 ? Prior(samples.groups).Mode(samples.groups) : FitHyper(samples);
  const Gp known(std::move(samples), hyper);
  // The lowest expected value of a finished trial: under noise the lowest observation is too good to be true.
  VectorXd mean, deviation;
  known.Predict(known.samples().points.transpose(), mean, deviation);
  const double best = mean.minCoeff();
  const Gp gp = question.pending.empty() ? known : Believe(known, hyper, question);

  Rng rng(question.seed, static_cast<uint64_t>(question.trial));
  const Search search(question, gp, best);
  std::vector<Draw> draws = Candidates(question, rng);
  std::vector<double> scores = search.Score(draws);
  std::vector<size_t> order(draws.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + kStarts, order.end(), [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  std::optional<Params> answer;
  double answer_score = kNever;
  for (size_t i = 0; i < kStarts; ++i) {
    Draw& draw = draws[order[i]];
    double& score = scores[order[i]];
    if (score == kNever) continue;
    search.Improve(draw, score);
    if (score > answer_score) {
      answer = question.space.FromDraw(draw);
      answer_score = score;
    }
  }
  if (answer) return *answer;
  return Taken(question).Free(question.space.FromDraw(draws.front()), rng);
}

}  // namespace strop::tune::gp
