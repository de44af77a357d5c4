#include "strop/feed/workers/scaling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

using Vector = std::array<double, 3>;

Vector Row(const ScalingPoint& point) {
  const double weight = point.throughput / point.readers;
  return {weight, weight * (point.readers - 1), weight * point.readers * (point.readers - 1)};
}

// Modified Gram-Schmidt over the chosen columns: stays exact where the normal equations of N (N - 1) do not.
std::optional<Vector> Solve(const std::vector<ScalingPoint>& points, const std::vector<size_t>& columns) {
  const size_t n = points.size(), k = columns.size();
  std::vector<std::vector<double>> q(k, std::vector<double>(n));
  std::vector<double> target(n, 1), projected(k);
  std::array<Vector, 3> r{};
  for (size_t j = 0; j < k; ++j) {
    double before = 0;
    for (size_t i = 0; i < n; ++i) {
      q[j][i] = Row(points[i])[columns[j]];
      before += q[j][i] * q[j][i];
    }
    for (size_t p = 0; p < j; ++p) {
      for (size_t i = 0; i < n; ++i) r[p][j] += q[p][i] * q[j][i];
      for (size_t i = 0; i < n; ++i) q[j][i] -= r[p][j] * q[p][i];
    }
    double norm = 0;
    for (const double v : q[j]) norm += v * v;
    if (norm <= 1e-20 * before || norm == 0) return std::nullopt;
    r[j][j] = std::sqrt(norm);
    for (double& v : q[j]) v /= r[j][j];
    for (size_t i = 0; i < n; ++i) projected[j] += q[j][i] * target[i];
    for (size_t i = 0; i < n; ++i) target[i] -= projected[j] * q[j][i];
  }
  Vector out{};
  for (size_t j = k; j-- > 0;) {
    double value = projected[j];
    for (size_t p = j + 1; p < k; ++p) value -= r[j][p] * out[columns[p]];
    out[columns[j]] = value / r[j][j];
  }
  return out;
}

double Residual(const std::vector<ScalingPoint>& points, const Vector& solution) {
  double sum = 0;
  for (const auto& point : points) {
    const Vector row = Row(point);
    const double miss = 1 - row[0] * solution[0] - row[1] * solution[1] - row[2] * solution[2];
    sum += miss * miss;
  }
  return std::sqrt(sum / static_cast<double>(points.size()));
}

}  // namespace

double Scaling::At(double readers) const {
  return lambda * readers / (1 + sigma * (readers - 1) + kappa * readers * (readers - 1));
}

double Scaling::Peak() const {
  if (sigma >= 1) return 1;
  if (kappa <= 0) return std::numeric_limits<double>::infinity();
  return std::max(1.0, std::sqrt((1 - sigma) / kappa));
}

std::string Scaling::Text() const {
  return fmt::format("X(N) = {:.4g} N / (1 + {:.3g} (N - 1) + {:.3g} N (N - 1))", lambda, sigma, kappa);
}

Scaling FitScaling(const std::vector<ScalingPoint>& points) {
  std::vector<ScalingPoint> usable;
  std::set<double> distinct;
  for (const auto& point : points) {
    if (!(point.readers > 0) || !(point.throughput > 0) || !std::isfinite(point.throughput)) continue;
    usable.push_back(point);
    distinct.insert(point.readers);
  }
  if (usable.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("none of {} points of scaling has readers and throughput above 0: measure at "
                            "least one number of readers for longer",
                            points.size()));
  }
  // The best of the faces of the non-negative cone is the constrained optimum: there are only four.
  static const std::vector<std::vector<size_t>> kFaces = {{0}, {0, 1}, {0, 2}, {0, 1, 2}};
  Scaling best;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& face : kFaces) {
    if (face.size() > distinct.size()) continue;
    const auto solution = Solve(usable, face);
    if (!solution || (*solution)[0] <= 0 || (*solution)[1] < 0 || (*solution)[2] < 0) continue;
    const double residual = Residual(usable, *solution);
    if (residual >= least - 1e-12) continue;  // an equal fit with fewer parameters stays
    least = residual;
    best = {1 / (*solution)[0], (*solution)[1] / (*solution)[0], (*solution)[2] / (*solution)[0], residual};
  }
  return best;
}

int Knee(const Scaling& scaling, int most, double tolerance) {
  double best = 0;
  for (int n = 1; n <= most; ++n) best = std::max(best, scaling.At(n));
  for (int n = 1; n < most; ++n) {
    if (scaling.At(n) >= (1 - tolerance) * best) return n;
  }
  return std::max(1, most);
}

int MeasuredKnee(const std::vector<ScalingPoint>& points, double tolerance) {
  if (points.empty()) throw Error(Code::kInvalidArgument, "no points of scaling: at least one is needed");
  double best = 0, knee = std::numeric_limits<double>::infinity();
  for (const auto& point : points) best = std::max(best, point.throughput);
  for (const auto& point : points) {
    if (point.throughput >= (1 - tolerance) * best) knee = std::min(knee, point.readers);
  }
  return static_cast<int>(knee);
}

}  // namespace strop::feed
