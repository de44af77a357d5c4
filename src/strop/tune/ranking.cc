#include "strop/tune/ranking.h"

#include <algorithm>

#include "strop/tune/pareto.h"

namespace strop::tune {
namespace {

// What a trial is ordered by, and its place.
struct Entry {
  double key;
  size_t trial;
};

void Append(std::vector<Entry> entries, std::vector<size_t>& order,
            size_t most = std::numeric_limits<size_t>::max()) {
  const auto end = entries.begin() + static_cast<std::ptrdiff_t>(std::min(most, entries.size()));
  std::partial_sort(entries.begin(), end, entries.end(), [](const Entry& a, const Entry& b) {
    return a.key != b.key ? a.key < b.key : a.trial < b.trial;
  });
  for (const Entry& entry : entries) order.push_back(entry.trial);
}

void AppendFronts(std::span<const Observation> trials, const std::vector<Entry>& entries,
                  std::vector<size_t>& order) {
  std::vector<std::vector<double>> losses;
  for (const Entry& entry : entries) losses.push_back(trials[entry.trial].losses);
  const std::vector<size_t> ranks = NonDominatedRanks(losses);
  std::vector<std::vector<size_t>> fronts;
  for (size_t i = 0; i < ranks.size(); ++i) {
    fronts.resize(std::max(fronts.size(), ranks[i] + 1));
    fronts[ranks[i]].push_back(i);
  }
  for (const std::vector<size_t>& front : fronts) {
    std::vector<std::vector<double>> rows;
    for (size_t i : front) rows.push_back(losses[i]);
    const std::vector<double> space = CrowdingDistances(rows);
    std::vector<Entry> ordered;
    for (size_t i = 0; i < front.size(); ++i) ordered.push_back({-space[i], entries[front[i]].trial});
    Append(std::move(ordered), order);
  }
}

}  // namespace

std::vector<size_t> BestFirst(std::span<const Observation> trials, size_t most) {
  std::vector<Entry> feasible, infeasible;
  feasible.reserve(trials.size());
  size_t objectives = 0;
  for (size_t i = 0; i < trials.size(); ++i) {
    const Observation& trial = trials[i];
    if (trial.losses.empty()) continue;
    objectives = trial.losses.size();
    double violation = 0;
    for (double v : trial.violations) violation += std::max(v, 0.0);
    if (violation > 0)
      infeasible.push_back({violation, i});
    else
      feasible.push_back({trial.losses[0], i});
  }
  std::vector<size_t> order;
  order.reserve(feasible.size() + infeasible.size());
  if (objectives > 1)
    AppendFronts(trials, feasible, order);
  else
    Append(std::move(feasible), order, most);
  Append(std::move(infeasible), order);
  return order;
}

}  // namespace strop::tune
