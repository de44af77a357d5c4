#include "strop/watch/rff.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <Eigen/Core>

#include "strop/base/rng.h"

namespace strop::watch {
namespace {

constexpr uint64_t kStream = 0x726666;  // the letters of "rff"
constexpr int64_t kBandwidthRows = 300;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

}  // namespace

RandomFourierFeatures::RandomFourierFeatures(int64_t inputs, int64_t features, double bandwidth,
                                             uint64_t seed)
    : inputs_(inputs), features_(features), projections_(Tensor::New(DType::kF32, {inputs, features / 2})) {
  const auto values = projections_.As<float>();
  const int64_t half = features / 2;
  for (int64_t j = 0; j < half; ++j) {
    Rng rng(seed, MixSeed(kStream, static_cast<uint64_t>(j)));
    for (int64_t i = 0; i < inputs; ++i)
      values[static_cast<size_t>(i * half + j)] = static_cast<float>(rng.Normal() / bandwidth);
  }
}

void RandomFourierFeatures::Map(const float* rows, int64_t count, float* out) const {
  const int64_t half = features_ / 2;
  const Matrix angles = Eigen::Map<const Matrix>(rows, count, inputs_) *
                        Eigen::Map<const Matrix>(projections_.As<float>().data(), inputs_, half);
  const float scale = std::sqrt(2.0f / static_cast<float>(features_));
  Eigen::Map<Matrix> result(out, count, features_);
  result.leftCols(half) = (angles.array().cos() * scale).matrix();
  result.rightCols(half) = (angles.array().sin() * scale).matrix();
}

double MedianBandwidth(const float* rows, int64_t count, int64_t inputs) {
  const int64_t used = std::min(count, kBandwidthRows);
  std::vector<double> distances;
  for (int64_t a = 0; a < used; ++a) {
    const Eigen::Map<const Eigen::VectorXf> left(rows + a * count / used * inputs, inputs);
    for (int64_t b = a + 1; b < used; ++b) {
      const Eigen::Map<const Eigen::VectorXf> right(rows + b * count / used * inputs, inputs);
      distances.push_back((left - right).norm());
    }
  }
  if (distances.empty()) return 0;
  const auto middle = distances.begin() + static_cast<int64_t>(distances.size() / 2);
  std::nth_element(distances.begin(), middle, distances.end());
  if (*middle > 0) return *middle;
  return std::accumulate(distances.begin(), distances.end(), 0.0) / static_cast<double>(distances.size());
}

}  // namespace strop::watch
