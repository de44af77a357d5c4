#include <algorithm>
#include <utility>

#include "strop/engine/kernels/int8_gemm/int8_gemm.h"

namespace strop::engine {
namespace {

constexpr int64_t kGroup = 4;
constexpr int kMostOfPair = 128;

// Takes of a pair of weights what could exceed 16 bits; answers what was taken of each.
std::pair<int, int> Relieve(int8_t& first, int8_t& second) {
  std::pair<int, int> rest{0, 0};
  for (const int sign : {1, -1}) {
    const int a = std::max(sign * first, 0), b = std::max(sign * second, 0);
    const int excess = a + b - kMostOfPair;
    if (excess <= 0) continue;
    // The larger is at least half of the two, which is at least the excess.
    int8_t& larger = a >= b ? first : second;
    larger = static_cast<int8_t>(larger - sign * excess);
    (a >= b ? rest.first : rest.second) = sign * excess;
  }
  return rest;
}

// In one panel; its outliers follow those of the panels before.
void PartOutliers(int8_t* panel, int64_t groups, int64_t nr, PackedInt8Weights& packed) {
  for (int64_t group = 0; group < groups; ++group) {
    for (int64_t column = 0; column < nr; ++column) {
      int8_t* four = panel + (group * nr + column) * kGroup;
      for (int pair = 0; pair < kGroup; pair += 2) {
        const auto [first, second] = Relieve(four[pair], four[pair + 1]);
        const auto k = static_cast<int32_t>(group * kGroup + pair);
        if (first != 0)
          packed.outliers.push_back({k, static_cast<int16_t>(column), static_cast<int16_t>(first)});
        if (second != 0)
          packed.outliers.push_back({k + 1, static_cast<int16_t>(column), static_cast<int16_t>(second)});
      }
    }
  }
}

}  // namespace

PackedInt8Weights PackInt8Weights(const int8_t* b, int64_t n, int64_t k, bool transposed,
                                  const Int8GemmKernel& kernel) {
  const int64_t nr = kernel.tile.nr, panels = (n + nr - 1) / nr, groups = (k + kGroup - 1) / kGroup;
  PackedInt8Weights packed{n, k, Tensor::New(DType::kI8, {panels, groups, nr, kGroup}), {}, {}, {}};
  const auto bytes = packed.panels.As<int8_t>();
  std::fill(bytes.begin(), bytes.end(), int8_t{0});
  packed.sums.assign(static_cast<size_t>(n), 0);
  for (int64_t column = 0; column < n; ++column) {
    int8_t* out = bytes.data() + (column / nr * groups * nr + column % nr) * kGroup;
    for (int64_t row = 0; row < k; ++row) {
      const int8_t weight = transposed ? b[column * k + row] : b[row * n + column];
      out[row / kGroup * nr * kGroup + row % kGroup] = weight;
      packed.sums[static_cast<size_t>(column)] += weight;
    }
  }
  if (!kernel.saturates) return packed;
  for (int64_t panel = 0; panel < panels; ++panel) {
    packed.outlier_begin.push_back(static_cast<int64_t>(packed.outliers.size()));
    PartOutliers(bytes.data() + panel * groups * nr * kGroup, groups, nr, packed);
  }
  packed.outlier_begin.push_back(static_cast<int64_t>(packed.outliers.size()));
  if (packed.outliers.empty()) packed.outlier_begin.clear();
  return packed;
}

}  // namespace strop::engine
