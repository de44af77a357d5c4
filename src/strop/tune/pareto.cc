#include "strop/tune/pareto.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace strop::tune {
namespace {

std::vector<size_t> Lexicographic(Losses losses) {
  std::vector<size_t> order(losses.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return losses[a] < losses[b]; });
  return order;
}

}  // namespace

bool Dominates(std::span<const double> a, std::span<const double> b) noexcept {
  bool better = false;
  for (size_t k = 0; k < a.size(); ++k) {
    if (a[k] > b[k]) return false;
    better = better || a[k] < b[k];
  }
  return better;
}

std::vector<size_t> NonDominatedRanks(Losses losses) {
  std::vector<size_t> ranks(losses.size());
  std::vector<std::vector<size_t>> fronts;
  // In lexicographic order no row is dominated by a later one.
  for (size_t row : Lexicographic(losses)) {
    const auto dominated = [&](const std::vector<size_t>& front) {
      // Of two objectives, the last row of a front has the lowest second one.
      const auto end = losses[row].size() <= 2 ? front.rbegin() + 1 : front.rend();
      return std::any_of(front.rbegin(), end,
                         [&](size_t other) { return Dominates(losses[other], losses[row]); });
    };
    const auto front = std::partition_point(fronts.begin(), fronts.end(), dominated);
    ranks[row] = static_cast<size_t>(front - fronts.begin());
    if (front == fronts.end())
      fronts.push_back({row});
    else
      front->push_back(row);
  }
  return ranks;
}

std::vector<double> CrowdingDistances(Losses losses) {
  const size_t n = losses.size();
  std::vector<double> distances(n);
  std::vector<size_t> order(n);
  for (size_t k = 0; n > 0 && k < losses[0].size(); ++k) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return losses[a][k] < losses[b][k]; });
    // By halves, since the range itself may be more than a number holds.
    const auto half = [&](size_t i) { return losses[order[i]][k] / 2; };
    const double range = half(n - 1) - half(0);
    distances[order[0]] = distances[order[n - 1]] = std::numeric_limits<double>::infinity();
    for (size_t i = 1; i + 1 < n && range > 0; ++i)
      distances[order[i]] += (half(i + 1) - half(i - 1)) / range;
  }
  return distances;
}

}  // namespace strop::tune
