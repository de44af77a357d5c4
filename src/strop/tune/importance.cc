#include "strop/tune/importance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/tune/regression_tree.h"

namespace strop::tune {
namespace {

constexpr size_t kTrees = 64;

[[noreturn]] void NoSuchObjective(size_t objective, size_t objectives) {
  throw Error(Code::kInvalidArgument,
              fmt::format("objective {}: the study has {}, counted from 0", objective, objectives));
}

std::vector<const Observation*> WithLosses(std::span<const Observation> trials, size_t objective) {
  std::vector<const Observation*> used;
  for (const Observation& trial : trials) {
    if (trial.losses.empty()) continue;
    if (objective >= trial.losses.size()) NoSuchObjective(objective, trial.losses.size());
    used.push_back(&trial);
  }
  if (used.size() < kTrialsForImportance)
    throw Error(Code::kFailedPrecondition,
                fmt::format("parameter importance: {} trials have a value: at least {} are needed",
                            used.size(), kTrialsForImportance));
  return used;
}

// Around 0 and within [-1, 1], so that squares neither overflow nor cancel.
std::vector<double> Scaled(std::vector<double> losses) {
  const auto [low, high] = std::minmax_element(losses.begin(), losses.end());
  const double middle = *low / 2 + *high / 2, reach = *high / 2 - *low / 2;
  for (double& loss : losses) loss = reach > 0 ? (loss - middle) / reach : 0;
  return losses;
}

// The trials as a tree sees them.
TreeData Filled(const Space& space, std::span<const Observation* const> trials, std::vector<double> targets,
                Rng& rng) {
  TreeData data;
  data.targets = std::move(targets);
  for (size_t p = 0; p < space.size(); ++p) {
    data.choices.push_back(space.IsChoice(p) ? space.ValueCount(p) : 0);
    std::vector<double>& column = data.columns.emplace_back();
    for (const Observation* trial : trials) {
      const double u = std::isnan(trial->draw[p]) ? rng.Uniform() : trial->draw[p];
      column.push_back(space.IsChoice(p) ? static_cast<double>(space.IndexAt(p, u)) : u);
    }
  }
  return data;
}

std::vector<uint32_t> Bootstrap(size_t rows, Rng& rng) {
  std::vector<uint32_t> chosen(rows);
  for (uint32_t& row : chosen) row = static_cast<uint32_t>(rng.Below(rows));
  return chosen;
}

}  // namespace

std::vector<Importance> ParameterImportances(const Space& space, std::span<const Observation> trials,
                                             size_t objective) {
  const std::vector<const Observation*> used = WithLosses(trials, objective);
  std::vector<double> losses;
  for (const Observation* trial : used) losses.push_back(trial->losses[objective]);
  losses = Scaled(std::move(losses));
  std::vector<Importance> importances;
  for (const Parameter& parameter : space.parameters()) importances.push_back({parameter.name, 0, 0});
  double trees = 0;  // a tree without variance says nothing
  for (size_t tree = 0; tree < kTrees && !space.empty(); ++tree) {
    Rng rng(0, tree);
    const TreeData data = Filled(space, used, losses, rng);
    const Variance variance = RegressionTree(data, Bootstrap(data.rows(), rng)).Decompose();
    if (variance.total <= 0) continue;
    ++trees;
    for (size_t p = 0; p < importances.size(); ++p) {
      const double share = variance.main[p] / variance.total;
      // Welford's running mean and sum of squares.
      const double before = share - importances[p].share;
      importances[p].share += before / trees;
      importances[p].deviation += before * (share - importances[p].share);
    }
  }
  for (Importance& importance : importances)
    importance.deviation = trees > 0 ? std::sqrt(importance.deviation / trees) : 0;
  std::stable_sort(importances.begin(), importances.end(),
                   [](const Importance& a, const Importance& b) { return a.share > b.share; });
  return importances;
}

std::vector<Importance> ParameterImportances(Study& study, size_t objective) {
  if (objective >= study.directions().size()) NoSuchObjective(objective, study.directions().size());
  const Space space = study.space();
  std::vector<Observation> trials;
  for (const TrialRecord& trial : study.Trials())
    if (trial.state != TrialState::kRunning)
      trials.push_back(Observation::Of(space, trial.number, trial.params, trial.values));
  return ParameterImportances(space, trials, objective);
}

}  // namespace strop::tune
