#include "strop/tune/gp/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "strop/tune/gp/lbfgs.h"

namespace strop::tune::gp {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr int kRandomCandidates = 256;
constexpr int kLocalCandidates = 64;
constexpr size_t kStarts = 4;
// Whole numbers and steps up to this many values are tried one by one, others by their neighbours.
constexpr int64_t kFewValues = 8;

class Climber {
 public:
  Climber(const Space& space, const Taken& taken, const Acquisition& acquisition)
      : space_(space), taken_(taken), acquisition_(acquisition) {}

  std::vector<double> Score(const std::vector<Draw>& draws) const {
    std::vector<double> scores(draws.size(), kNever);
    MatrixXd points(static_cast<Eigen::Index>(space_.dimensions()), static_cast<Eigen::Index>(draws.size()));
    std::vector<size_t> owner;
    for (size_t i = 0; i < draws.size(); ++i) {
      Draw settled = draws[i];
      space_.Settle(settled);
      if (taken_.Holds(settled)) continue;
      auto column = points.col(static_cast<Eigen::Index>(owner.size()));
      space_.ToPoint(settled, {column.data(), space_.dimensions()});
      owner.push_back(i);
    }
    if (owner.empty()) return scores;
    const VectorXd values = acquisition_.At(points.leftCols(static_cast<Eigen::Index>(owner.size())).eval());
    for (size_t i = 0; i < owner.size(); ++i) scores[owner[i]] = values[static_cast<Eigen::Index>(i)];
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
  // The active numbers that can be moved a little.
  std::vector<size_t> Movable(const Draw& settled) const {
    std::vector<size_t> movable;
    for (size_t p = 0; p < settled.size(); ++p) {
      const int64_t values = space_.ValueCount(p);
      if (!space_.IsChoice(p) && (values == 0 || values > kFewValues) && !std::isnan(settled[p]))
        movable.push_back(p);
    }
    return movable;
  }

  void ClimbNumbers(Draw& draw, double& score) const {
    Draw settled = draw;
    space_.Settle(settled);
    const std::vector<size_t> movable = Movable(settled);
    if (movable.empty()) return;
    VectorXd x(static_cast<Eigen::Index>(space_.dimensions())), slope;
    const std::span<double> point(x.data(), space_.dimensions());
    space_.ToPoint(settled, point);
    const Objective loss = [&](const VectorXd& u, VectorXd& gradient) {
      for (size_t i = 0; i < movable.size(); ++i)
        space_.PlaceNumber(movable[i], u[static_cast<Eigen::Index>(i)], point);
      const double value = acquisition_.At(x, slope);
      for (size_t i = 0; i < movable.size(); ++i) {
        const auto k = static_cast<Eigen::Index>(i);
        gradient[k] = -space_.NumberGradient(movable[i], u[k], {slope.data(), space_.dimensions()});
      }
      return -value;
    };
    const auto size = static_cast<Eigen::Index>(movable.size());
    VectorXd start(size);
    for (Eigen::Index i = 0; i < size; ++i) start[i] = settled[movable[static_cast<size_t>(i)]];
    LbfgsOptions options;
    options.max_evaluations = 30;
    options.gradient_tolerance = 1e-4;
    options.value_tolerance = 1e-6;
    const LbfgsResult result =
        MinimizeLbfgs(loss, start, VectorXd::Zero(size), VectorXd::Ones(size), options);
    Draw moved = draw;
    for (Eigen::Index i = 0; i < size; ++i) moved[movable[static_cast<size_t>(i)]] = result.x[i];
    // Whole numbers round here, so the score is taken anew.
    Accept({moved}, draw, score);
  }

  bool ChangeValues(Draw& draw, double& score) const {
    bool changed = false;
    for (size_t step = 0; step < 2 * draw.size(); ++step) {
      const std::vector<Draw> neighbours = Neighbours(draw);
      if (neighbours.empty() || !Accept(neighbours, draw, score)) break;
      changed = true;
    }
    return changed;
  }

  // The draw with one of its whole numbers, steps and choices changed.
  std::vector<Draw> Neighbours(const Draw& draw) const {
    Draw settled = draw;
    space_.Settle(settled);
    std::vector<Draw> neighbours;
    for (size_t p = 0; p < draw.size(); ++p) {
      const int64_t values = space_.ValueCount(p);
      if (values <= 1 || std::isnan(settled[p])) continue;
      const int64_t now = space_.IndexAt(p, settled[p]);
      const bool all = space_.IsChoice(p) || values <= kFewValues;
      const int64_t first = all ? 0 : std::max<int64_t>(0, now - 1),
                    end = all ? values : std::min(values, now + 2);
      for (int64_t v = first; v < end; ++v) {
        if (v == now) continue;
        neighbours.push_back(draw);
        neighbours.back()[p] = space_.IsChoice(p)
                                   ? (static_cast<double>(v) + 0.5) / static_cast<double>(values)
                                   : Space::ToUnit(space_.parameters()[p], space_.ValueAt(p, v));
      }
    }
    return neighbours;
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
  const Taken& taken_;
  const Acquisition& acquisition_;
};

std::vector<Draw> Candidates(const Space& space, const std::vector<Draw>& good, Rng& rng) {
  std::vector<Draw> draws;
  for (int i = 0; i < kRandomCandidates; ++i) {
    Draw draw(space.size());
    for (double& u : draw) u = rng.Uniform();
    draws.push_back(std::move(draw));
  }
  const double some = 1 / static_cast<double>(std::max<size_t>(1, space.size()));
  for (int i = 0; i < kLocalCandidates && !good.empty(); ++i) {
    Draw draw = good[static_cast<size_t>(i) % good.size()];
    const double width = std::pow(10.0, -0.5 - 2 * rng.Uniform());
    for (size_t p = 0; p < draw.size(); ++p) {
      if (std::isnan(draw[p])) {
        draw[p] = rng.Uniform();
      } else if (space.IsChoice(p)) {
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

std::optional<Draw> MaximizeAcquisition(const Space& space, const Taken& taken,
                                        const Acquisition& acquisition, const std::vector<Draw>& good,
                                        Rng& rng) {
  const Climber climber(space, taken, acquisition);
  std::vector<Draw> draws = Candidates(space, good, rng);
  std::vector<double> scores = climber.Score(draws);
  std::vector<size_t> order(draws.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + kStarts, order.end(), [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  std::optional<Draw> answer;
  double best = kNever;
  for (size_t i = 0; i < kStarts; ++i) {
    Draw& draw = draws[order[i]];
    double& score = scores[order[i]];
    if (score == kNever) continue;
    climber.Improve(draw, score);
    if (score > best) {
      answer = draw;
      best = score;
    }
  }
  return answer;
}

}  // namespace strop::tune::gp
