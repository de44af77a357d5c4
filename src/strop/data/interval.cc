#include "strop/data/interval.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::data {
namespace {

constexpr double kZ95 = 1.959963984540054;  // 97.5% quantile of the standard normal

// Tango's score statistic at the difference `delta`: falls as delta grows. `share` is the share of lost rows
// that is most likely when the difference is delta, the larger root of Tango's quadratic.
double Score(double gained, double lost, double rows, double delta) {
  const double a = 2 * rows;
  const double b = -gained - lost + (2 * rows - gained + lost) * delta;
  const double c = -lost * delta * (1 - delta);
  const double share = (std::sqrt(std::max(0.0, b * b - 4 * a * c)) - b) / (2 * a);
  const double excess = gained - lost - rows * delta;
  const double variance = rows * (2 * share + delta * (1 - delta));
  if (variance > 0) return excess / std::sqrt(variance);
  return excess == 0 ? 0 : std::copysign(std::numeric_limits<double>::infinity(), excess);
}

double Solve(double gained, double lost, double rows, double target) {
  double low = -1, high = 1;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (Score(gained, lost, rows, middle) > target ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

Interval TangoInterval(double gained, double lost, double rows) {
  if (!(gained >= 0 && lost >= 0 && rows > 0 && gained + lost <= rows)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} gained and {} lost of {} rows: expected counts that fit into the rows",
                            gained, lost, rows));
  }
  return {Solve(gained, lost, rows, kZ95), Solve(gained, lost, rows, -kZ95)};
}

int64_t RowsNeeded(double max_drop, double disagreement) {
  if (!(max_drop > 0 && max_drop < 1 && disagreement >= 0 && disagreement <= 1)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a drop of {} with {} of the rows in disagreement: expected a drop "
                            "between 0 and 1 and a share from 0 to 1",
                            max_drop, disagreement));
  }
  const auto enough = [&](int64_t rows) {
    const double each = static_cast<double>(rows) * disagreement / 2;
    return TangoInterval(each, each, static_cast<double>(rows)).low >= -max_drop;
  };
  int64_t high = 1;
  while (!enough(high)) high *= 2;
  int64_t low = high / 2;
  while (low + 1 < high) {
    const int64_t middle = low + (high - low) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace strop::data
