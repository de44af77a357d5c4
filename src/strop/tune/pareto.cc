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

double Box(std::span<const double> row, std::span<const double> reference) {
  double volume = 1;
  for (size_t k = 0; k < row.size(); ++k) volume *= reference[k] - row[k];
  return volume;
}

// Of rows below the reference.
double Volume(std::vector<std::vector<double>> rows, std::span<const double> reference) {
  const std::vector<size_t> ranks = NonDominatedRanks(rows);
  std::vector<std::vector<double>> front;
  for (size_t i : Lexicographic(rows))
    if (ranks[i] == 0 && (front.empty() || front.back() != rows[i])) front.push_back(std::move(rows[i]));
  double volume = 0;
  for (size_t i = 0; i < front.size(); ++i) {
    // What the later rows dominate of the box of this one: their parts that lie within it.
    std::vector<std::vector<double>> within(front.begin() + static_cast<std::ptrdiff_t>(i) + 1, front.end());
    for (std::vector<double>& row : within)
      for (size_t k = 0; k < row.size(); ++k) row[k] = std::max(row[k], front[i][k]);
    volume += Box(front[i], reference) - (within.empty() ? 0 : Volume(std::move(within), reference));
  }
  return volume;
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

double Hypervolume(Losses losses, std::span<const double> reference) {
  std::vector<std::vector<double>> below;
  for (const std::vector<double>& row : losses)
    if (std::equal(row.begin(), row.end(), reference.begin(), std::less<>())) below.push_back(row);
  return Volume(std::move(below), reference);
}

}  // namespace strop::tune
