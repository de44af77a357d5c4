#include "strop/watch/select.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"

namespace strop::watch {
namespace {

constexpr uint64_t kRandomStream = 0x73656c656374;  // the letters of "select"

void MakeProbabilities(std::span<double> row) {
  double sum = 0;
  bool already = true;
  for (const double score : row) {
    sum += score;
    already = already && score >= 0;
  }
  if (already && std::abs(sum - 1) < 1e-3) return;
  const double top = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (double& score : row) total += score = std::exp(score - top);
  for (double& score : row) score /= total;
}

// [rows, classes] of probabilities.
std::vector<double> Probabilities(const Tensor& scores, int64_t* classes) {
  const Shape& shape = scores.shape();
  if (shape.empty() || shape.size() > 2 || (shape.size() == 2 && shape[1] < 1)) {
    throw Error(Code::kInvalidArgument, fmt::format("scores {}: expected [rows, classes]", ShapeText(shape)));
  }
  const Tensor doubles = scores.dtype() == DType::kF64 ? scores : scores.Cast(DType::kF64);
  const auto values = doubles.As<double>();
  *classes = shape.size() == 2 ? shape[1] : 1;
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("scores hold NaN in row {}", i / static_cast<size_t>(*classes)));
    }
  }
  std::vector<double> rows(values.begin(), values.end());
  if (*classes == 1) {
    const bool probabilities =
        std::all_of(values.begin(), values.end(), [](double p) { return p >= 0 && p <= 1; });
    rows.clear();
    for (const double score : values) {
      const double second = probabilities ? score : 1 / (1 + std::exp(-score));
      rows.insert(rows.end(), {1 - second, second});
    }
    *classes = 2;
  } else {
    for (int64_t row = 0; row < shape[0]; ++row) {
      MakeProbabilities(
          std::span(rows).subspan(static_cast<size_t>(row * *classes), static_cast<size_t>(*classes)));
    }
  }
  return rows;
}

double Entropy(std::span<const double> row) {
  double entropy = 0;
  for (const double p : row) entropy -= p > 0 ? p * std::log(p) : 0;
  return entropy / std::log(static_cast<double>(row.size()));
}

double Margin(std::span<const double> row) {
  double first = 0, second = 0;
  for (const double p : row) {
    if (p > first) {
      second = first;
      first = p;
    } else if (p > second) {
      second = p;
    }
  }
  return 1 - (first - second);
}

}  // namespace

std::vector<double> Uncertainty(const Tensor& scores, const std::string& strategy) {
  if (strategy != "entropy" && strategy != "margin") {
    throw Error(Code::kInvalidArgument,
                fmt::format("uncertainty \"{}\": expected entropy or margin", strategy));
  }
  int64_t classes = 0;
  const auto rows = Probabilities(scores, &classes);
  std::vector<double> uncertainty;
  for (size_t begin = 0; begin < rows.size(); begin += static_cast<size_t>(classes)) {
    const std::span<const double> row(rows.data() + begin, static_cast<size_t>(classes));
    uncertainty.push_back(strategy == "entropy" ? Entropy(row) : Margin(row));
  }
  return uncertainty;
}

std::vector<int64_t> Select(const Tensor& scores, int64_t k, const std::string& strategy, uint64_t seed) {
  if (k < 0) throw Error(Code::kInvalidArgument, fmt::format("k is {}: expected 0 or more", k));
  if (strategy == "badge") {
    throw Error(Code::kUnsupported,
                "strategy \"badge\" needs gradient embeddings, which this version does not compute: use "
                "entropy, margin or "
                "random");
  }
  if (strategy != "entropy" && strategy != "margin" && strategy != "random") {
    throw Error(Code::kInvalidArgument,
                fmt::format("strategy \"{}\": expected entropy, margin or random", strategy));
  }
  if (scores.shape().empty()) throw Error(Code::kInvalidArgument, "scores []: expected [rows, classes]");
  std::vector<double> worth;
  if (strategy == "random") {
    Rng rng(seed, kRandomStream);
    for (int64_t row = 0; row < scores.shape()[0]; ++row) worth.push_back(rng.Uniform());
  } else {
    worth = Uncertainty(scores, strategy);
  }
  std::vector<int64_t> rows(worth.size());
  std::iota(rows.begin(), rows.end(), 0);
  const auto count = std::min<size_t>(static_cast<size_t>(k), rows.size());
  std::partial_sort(
      rows.begin(), rows.begin() + static_cast<int64_t>(count), rows.end(), [&](int64_t a, int64_t b) {
        const double left = worth[static_cast<size_t>(a)], right = worth[static_cast<size_t>(b)];
        return left != right ? left > right : a < b;
      });
  rows.resize(count);
  return rows;
}

}  // namespace strop::watch
