#include <array>
#include <vector>

#include "strop/engine/kernels/winograd/points.h"
#include "strop/engine/kernels/winograd/winograd.h"

namespace strop::engine {
namespace {

using Row = std::array<double, 3>;

// The rows of G: of a point p, (1, p, p²) / N(p), N(p) the product of p's differences from the other points;
// of infinity, (0, 0, 1). Points in the order of Bᵀ's rows.
std::vector<Row> Filter(int64_t tile) {
  constexpr double kA = kWinogradA, kB = kWinogradB;
  const std::vector<double> points =
      tile == 2 ? std::vector<double>{0, 1, -1} : std::vector<double>{0, kA, -kA, kB, -kB};
  std::vector<Row> rows;
  for (const double point : points) {
    double differences = 1;
    for (const double other : points) differences *= other == point ? 1 : point - other;
    rows.push_back({1 / differences, point / differences, point * point / differences});
  }
  rows.push_back({0, 0, 1});
  return rows;
}

}  // namespace

WinogradWeights PackWinograd(const float* w, int64_t cout, int64_t cin, int64_t tile, int64_t nr) {
  const std::vector<Row> filter = Filter(tile);
  const int64_t size = tile + 2, pairs = cout * cin, panels = (cout + nr - 1) / nr;
  WinogradWeights packed{tile, nr, Tensor::New(DType::kF32, {size * size, panels, cin, nr})};
  float* out = packed.panels.As<float>().data();
  std::vector<float> components(static_cast<size_t>(size * pairs));  // of one row of G w Gᵀ: [m+2, cout, cin]
  for (const Row& down : filter) {
    for (int64_t pair = 0; pair < pairs; ++pair) {
      Row half{};
      for (size_t i = 0; i < 3; ++i) {
        for (size_t j = 0; j < 3; ++j)
          half[j] += down[i] * static_cast<double>(w[pair * 9 + static_cast<int64_t>(i * 3 + j)]);
      }
      for (int64_t column = 0; column < size; ++column) {
        const Row& across = filter[static_cast<size_t>(column)];
        components[static_cast<size_t>(column * pairs + pair)] =
            static_cast<float>(half[0] * across[0] + half[1] * across[1] + half[2] * across[2]);
      }
    }
    for (int64_t column = 0; column < size; ++column, out += panels * cin * nr)
      PackPanels(components.data() + column * pairs, cin, cout, cin, true, nr, out);
  }
  return packed;
}

}  // namespace strop::engine
