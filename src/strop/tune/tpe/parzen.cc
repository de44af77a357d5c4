#include "strop/tune/tpe/parzen.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include <unsupported/Eigen/SpecialFunctions>

namespace strop::tune::tpe {
namespace {

using Eigen::ArrayXf;
using Eigen::Index;
using Eigen::MatrixXd;

constexpr double kWidth = 0.2;  // of a number's kernel, of one draw in many dimensions
constexpr double kMinWidth = 0.01;

double Width(size_t draws, size_t dimensions) {
  return kWidth * std::pow(static_cast<double>(draws), -1 / static_cast<double>(dimensions + 4));
}

// The component that `u` in [0, 1) falls to.
size_t Pick(const std::vector<double>& cumulative, double u) {
  const auto at = std::upper_bound(cumulative.begin(), cumulative.end(), u * cumulative.back());
  return std::min(static_cast<size_t>(at - cumulative.begin()), cumulative.size() - 1);
}

// log(sum(exp(values))).
double LogSum(const Eigen::Ref<const ArrayXf>& values) {
  if (values.size() == 0) return -INFINITY;
  const float top = values.maxCoeff();
  return top + std::log(static_cast<double>((values - top).exp().sum()));
}

double LogSum(double a, double b) {
  const double top = std::max(a, b);
  return top + std::log(std::exp(a - top) + std::exp(b - top));
}

// The logarithm of twice what lies within [0, 1] of normal densities around centers; these in units of
// sqrt(2) widths, `scale` of which make 1. Read off a table, to 0.0005, which serves all numbers of one
// width.
class Inside {
 public:
  void Subtract(const Eigen::Ref<const Eigen::Array<float, 1, Eigen::Dynamic>>& centers, float scale,
                ArrayXf& from) {
    if (scale != scale_) Tabulate(scale);
    const auto last = static_cast<int>(table_.size()) - 2;
    const float per_unit = static_cast<float>(last + 1) / scale;
    for (Index i = 0; i < centers.size(); ++i) {
      const float at = centers[i] * per_unit;
      const int cell = std::clamp(static_cast<int>(at), 0, last);
      from[i] -= table_[cell] + (at - static_cast<float>(cell)) * (table_[cell + 1] - table_[cell]);
    }
  }

 private:
  void Tabulate(float scale) {
    scale_ = scale;
    const ArrayXf centers = ArrayXf::LinSpaced(static_cast<Index>(std::ceil(16 * scale)) + 1, 0, scale);
    table_ = (centers.erf() + (scale - centers).erf()).log();
  }

  float scale_ = 0;
  ArrayXf table_;
};

// With uniform numbers of [0, 1), two of each 64 bits.
void Fill(ArrayXf& values, Rng& rng) {
  for (Index i = 0; i < values.size(); i += 2) {
    const uint64_t bits = rng();
    values[i] = static_cast<float>(bits >> 40) * 0x1p-24f;
    if (i + 1 < values.size()) values[i + 1] = static_cast<float>((bits >> 16) & 0xffffff) * 0x1p-24f;
  }
}

}  // namespace

std::vector<Group> GroupParameters(const Space& space, Draws draws) {
  struct Key {
    const std::map<std::string, ParamValue>* when;
    std::vector<bool> active;
  };
  std::vector<Key> keys;
  std::vector<Group> groups;
  const bool all_active = std::none_of(draws.begin(), draws.end(), [](std::span<const double> draw) {
    return std::isnan(Eigen::Map<const Eigen::ArrayXd>(draw.data(), static_cast<Index>(draw.size())).sum());
  });
  for (size_t p = 0; p < space.size(); ++p) {
    Key key{&space.parameters()[p].when, {}};
    if (!all_active)
      for (std::span<const double> draw : draws) key.active.push_back(!std::isnan(draw[p]));
    size_t g = 0;
    while (g < keys.size() && !(*keys[g].when == *key.when && keys[g].active == key.active)) ++g;
    if (g == keys.size()) {
      keys.push_back(std::move(key));
      groups.emplace_back();
    }
    (space.IsChoice(p) ? groups[g].choices : groups[g].numbers).push_back(p);
  }
  return groups;
}

Parzen::Parzen(const Space& space, const std::vector<Group>& groups, Draws draws,
               const std::vector<double>& weights, double uniform_weight)
    : space_(space) {
  cumulative_.resize(weights.size() + 1);
  std::partial_sum(weights.begin(), weights.end(), cumulative_.begin());
  cumulative_.back() = uniform_weight + (weights.empty() ? 0 : cumulative_[weights.size() - 1]);
  log_weights_.resize(static_cast<Index>(weights.size()));
  for (size_t i = 0; i < weights.size(); ++i)
    log_weights_[static_cast<Index>(i)] = static_cast<float>(std::log(weights[i] / cumulative_.back()));
  log_uniform_ = static_cast<float>(std::log(uniform_weight / cumulative_.back()));
  for (const Group& group : groups) {
    Kernels& kernels = groups_.emplace_back();
    kernels.group = group;
    double sum = 0;
    for (size_t i = 0; i < draws.size(); ++i) {
      const bool active = !std::isnan(draws[i][kernels.first()]);
      kernels.place.push_back(active ? static_cast<Index>(kernels.members.size()) : -1);
      if (!active) continue;
      kernels.members.push_back(static_cast<Index>(i));
      kernels.cumulative.push_back(sum += weights[i]);
    }
    kernels.cumulative.push_back(sum + uniform_weight);
    Fit(kernels, draws);
  }
}

void Parzen::Fit(Kernels& kernels, Draws draws) const {
  kernels.base.setZero(static_cast<Index>(kernels.members.size()));
  FitNumbers(kernels, draws);
  FitChoices(kernels, draws);
}

void Parzen::FitNumbers(Kernels& kernels, Draws draws) const {
  const std::vector<size_t>& numbers = kernels.group.numbers;
  const auto rows = static_cast<Index>(numbers.size()), members = kernels.base.size();
  kernels.centers.resize(rows, members);
  kernels.scales.resize(rows);
  const double width =
      std::max(kMinWidth, Width(kernels.members.size(), numbers.size() + kernels.group.choices.size()));
  Inside inside;
  for (Index i = 0; i < members; ++i) {
    const double* const draw = draws[static_cast<size_t>(kernels.members[static_cast<size_t>(i)])].data();
    for (Index d = 0; d < rows; ++d)
      kernels.centers(d, i) = static_cast<float>(draw[numbers[static_cast<size_t>(d)]]);
  }
  for (Index d = 0; d < rows; ++d) {
    const size_t p = numbers[static_cast<size_t>(d)];
    const int64_t values = space_.ValueCount(p);
    // Not so narrow that the middle no longer stands for the share of a whole number.
    const double h = values > 0 ? std::max(width, 0.5 / static_cast<double>(values)) : width;
    const auto scale = static_cast<float>(1 / (std::numbers::sqrt2 * h));
    kernels.scales[d] = scale;
    auto row = kernels.centers.row(d);
    row *= scale;
    // What of the normal density lies within [0, 1].
    const float log_height = std::log(scale * std::numbers::inv_sqrtpi_v<float> * 2);
    kernels.base += log_height - row.square().transpose();
    inside.Subtract(row, scale, kernels.base);
  }
}

void Parzen::FitChoices(Kernels& kernels, Draws draws) const {
  const std::vector<size_t>& choices = kernels.group.choices;
  const auto rows = static_cast<Index>(choices.size()), members = kernels.base.size();
  kernels.codes.resize(rows, members);
  kernels.keep.resize(rows);
  kernels.favour.resize(rows);
  for (Index d = 0; d < rows; ++d) {
    const size_t p = choices[static_cast<size_t>(d)];
    const auto values = static_cast<float>(space_.ValueCount(p));
    const float spread = 1 / static_cast<float>(members + 1);
    const float keep = (1 + spread) / (1 + spread * values), other = spread / (1 + spread * values);
    kernels.keep[d] = keep;
    kernels.favour[d] = std::log(keep / other);
    kernels.base += std::log(other);
    kernels.uniform -= std::log(values);
    for (Index i = 0; i < members; ++i)
      kernels.codes(d, i) = static_cast<float>(
          space_.IndexAt(p, draws[static_cast<size_t>(kernels.members[static_cast<size_t>(i)])][p]));
  }
}

// A row a member, a column a draw; where the group is inactive it means nothing.
Eigen::ArrayXXf Parzen::LogKernels(const Kernels& kernels, const MatrixXd& draws) const {
  const auto& numbers = kernels.group.numbers;
  Eigen::MatrixXf x(static_cast<Index>(numbers.size()), draws.cols());
  for (Index d = 0; d < x.rows(); ++d) {
    const auto row = draws.row(static_cast<Index>(numbers[static_cast<size_t>(d)])).cast<float>().array();
    x.row(d) = kernels.scales[d] * row.isNaN().select(0.0f, row);
  }
  // -|c - x|² of all pairs by one product.
  Eigen::ArrayXXf log_kernels(kernels.base.size(), draws.cols());
  log_kernels.matrix().noalias() = 2 * kernels.centers.matrix().transpose() * x;
  for (Index c = 0; c < draws.cols(); ++c) log_kernels.col(c) += kernels.base - x.col(c).squaredNorm();
  // Of two different indices the square is at least 1.
  for (Index d = 0; d < kernels.codes.rows(); ++d) {
    const size_t p = kernels.group.choices[static_cast<size_t>(d)];
    for (Index c = 0; c < draws.cols(); ++c) {
      const double u = draws(static_cast<Index>(p), c);
      if (std::isnan(u)) continue;
      const auto code = static_cast<float>(space_.IndexAt(p, u));
      log_kernels.col(c) +=
          kernels.favour[d] * (1 - (kernels.codes.row(d) - code).square()).max(0.0f).transpose();
    }
  }
  return log_kernels;
}

Eigen::VectorXd Parzen::LogDensity(const MatrixXd& draws) const {
  std::vector<Eigen::ArrayXXf> log_kernels;
  for (const Kernels& kernels : groups_) log_kernels.push_back(LogKernels(kernels, draws));
  Eigen::VectorXd densities(draws.cols());
  ArrayXf total;
  for (Index c = 0; c < draws.cols(); ++c) {
    total = log_weights_;
    double shared = 0, uniform = log_uniform_;
    for (size_t g = 0; g < groups_.size(); ++g) {
      const Kernels& kernels = groups_[g];
      if (std::isnan(draws(static_cast<Index>(kernels.first()), c))) continue;
      uniform += kernels.uniform;
      AddGroup(kernels, log_kernels[g].col(c), total, shared);
    }
    densities[c] = LogSum(shared + LogSum(total), uniform);
  }
  return densities;
}

// To the components' `total` and the summand that all share.
void Parzen::AddGroup(const Kernels& kernels, const Eigen::Ref<const ArrayXf>& log_kernels, ArrayXf& total,
                      double& shared) const {
  if (log_kernels.size() == total.size()) {
    total += log_kernels;
    return;
  }
  // Components without the group take what those with it expect.
  ArrayXf weighted = log_kernels;
  for (size_t i = 0; i < kernels.members.size(); ++i)
    weighted[static_cast<Index>(i)] += log_weights_[kernels.members[i]];
  const double marginal = LogSum(LogSum(weighted), log_uniform_ + kernels.uniform) -
                          std::log(kernels.cumulative.back() / cumulative_.back());
  shared += marginal;
  for (size_t i = 0; i < kernels.members.size(); ++i)
    total[kernels.members[i]] += log_kernels[static_cast<Index>(i)] - static_cast<float>(marginal);
}

std::vector<Index> Parzen::PickMembers(const Kernels& kernels, const std::vector<size_t>& components,
                                       Rng& rng) {
  std::vector<Index> picked;
  for (size_t component : components) {
    Index member = component < kernels.place.size() ? kernels.place[component]
                                                    : static_cast<Index>(kernels.members.size());
    if (member < 0) member = static_cast<Index>(Pick(kernels.cumulative, rng.Uniform()));
    picked.push_back(member);
  }
  return picked;
}

MatrixXd Parzen::Sample(Index count, Rng& rng) const {
  MatrixXd draws(static_cast<Index>(space_.size()), count);
  std::vector<size_t> components;
  for (Index c = 0; c < count; ++c) components.push_back(Pick(cumulative_, rng.Uniform()));
  for (const Kernels& kernels : groups_) {
    const std::vector<Index> members = PickMembers(kernels, components, rng);
    SampleNumbers(kernels, members, rng, draws);
    SampleChoices(kernels, members, rng, draws);
  }
  for (Index c = 0; c < count; ++c) space_.Settle({draws.col(c).data(), space_.size()});
  return draws;
}

// By the inverse of the truncated normal distribution.
void Parzen::SampleNumbers(const Kernels& kernels, const std::vector<Index>& members, Rng& rng,
                           MatrixXd& draws) {
  const auto count = static_cast<Index>(members.size());
  ArrayXf centers(count), uniform(count), low(count), high(count), inside(count);
  for (Index d = 0; d < kernels.centers.rows(); ++d) {
    const float scale = kernels.scales[d];
    const bool none = kernels.members.empty();
    for (Index c = 0; c < count; ++c) {
      const Index member = members[static_cast<size_t>(c)];
      centers[c] = none ? 0 : kernels.centers(d, std::min(member, kernels.centers.cols() - 1));
    }
    Fill(uniform, rng);
    low = 0.5f - 0.5f * centers.erf();
    high = 0.5f + 0.5f * (scale - centers).erf();
    inside = (low + uniform * (high - low)).ndtri() / std::numbers::sqrt2_v<float>;
    inside = ((centers + inside) / scale).max(0.0f).min(1.0f);
    const auto p = static_cast<Index>(kernels.group.numbers[static_cast<size_t>(d)]);
    for (Index c = 0; c < count; ++c)
      draws(p, c) = members[static_cast<size_t>(c)] < kernels.centers.cols() ? inside[c] : uniform[c];
  }
}

void Parzen::SampleChoices(const Kernels& kernels, const std::vector<Index>& members, Rng& rng,
                           MatrixXd& draws) const {
  for (Index d = 0; d < kernels.codes.rows(); ++d) {
    const size_t p = kernels.group.choices[static_cast<size_t>(d)];
    const auto values = static_cast<uint64_t>(space_.ValueCount(p));
    for (Index c = 0; c < draws.cols(); ++c) {
      const Index member = members[static_cast<size_t>(c)];
      uint64_t value = rng.Below(values);
      if (member < kernels.codes.cols() && values > 1) {
        const auto own = static_cast<uint64_t>(kernels.codes(d, member));
        const bool kept = rng.Uniform() < kernels.keep[d];
        value = kept ? own : (own + 1 + rng.Below(values - 1)) % values;
      }
      draws(static_cast<Index>(p), c) = (static_cast<double>(value) + 0.5) / static_cast<double>(values);
    }
  }
}

}  // namespace strop::tune::tpe
