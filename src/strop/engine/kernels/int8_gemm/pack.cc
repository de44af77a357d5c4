#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "strop/engine/kernels/int8_gemm/int8_gemm.h"

namespace strop::engine {
namespace {

constexpr int64_t kGroup = 4;
constexpr int kMostOfPair = 128;

// Takes off a pair of weights what could exceed 16 bits, -128 up to 126, all of it off the larger; answers
// what was taken off each.
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

// From the weights of `lanes` columns, the groups of which lie `stride` bytes apart; makes their list.
void TakeRests(int8_t* vector, int64_t groups, int64_t stride, int64_t lanes, PackedInt8Weights& packed,
               std::vector<int8_t>& rests) {
  packed.rest_begin.push_back(static_cast<int64_t>(packed.rest_row.size()));
  std::vector<int8_t> rest(static_cast<size_t>(lanes * kGroup));
  for (int64_t group = 0; group < groups; ++group) {
    int8_t* const weights = vector + group * stride;
    bool any = false;
    for (size_t pair = 0; pair < rest.size(); pair += 2) {
      // One of the two at most, so that a pair of rests is safe too.
      const auto [first, second] = Relieve(weights[pair], weights[pair + 1]);
      rest[pair] = static_cast<int8_t>(first);
      rest[pair + 1] = static_cast<int8_t>(second);
      any = any || first != 0 || second != 0;
    }
    if (!any) continue;
    packed.rest_row.push_back(static_cast<int32_t>(group * kGroup));
    rests.insert(rests.end(), rest.begin(), rest.end());
  }
  packed.rest_row.push_back(std::numeric_limits<int32_t>::max());
  rests.insert(rests.end(), rest.size(), int8_t{0});
}

// From all weights.
void TakeRests(int64_t panels, int64_t groups, int64_t nr, int64_t lanes, PackedInt8Weights& packed) {
  const auto bytes = packed.panels.As<int8_t>();
  const int64_t stride = nr * kGroup;
  std::vector<int8_t> rests;
  for (int64_t panel = 0; panel < panels; ++panel)
    for (int64_t column = 0; column < nr; column += lanes)
      TakeRests(bytes.data() + panel * groups * stride + column * kGroup, groups, stride, lanes, packed,
                rests);
  if (packed.rest_row.size() == packed.rest_begin.size()) {  // lists of no more than their ends
    packed.rest_row.clear();
    packed.rest_begin.clear();
    return;
  }
  packed.rests = Tensor::New(DType::kI8, {static_cast<int64_t>(packed.rest_row.size()), lanes, kGroup});
  std::copy(rests.begin(), rests.end(), packed.rests.As<int8_t>().begin());
}

}  // namespace

PackedInt8Weights PackInt8Weights(const int8_t* b, int64_t n, int64_t k, bool transposed,
                                  const Int8GemmKernel& kernel) {
  const int64_t nr = kernel.tile.nr, panels = (n + nr - 1) / nr, groups = (k + kGroup - 1) / kGroup;
  PackedInt8Weights packed{n, k, Tensor::New(DType::kI8, {panels, groups, nr, kGroup}), {}, {}, {}, {}};
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
  if (kernel.rest_lanes != 0) TakeRests(panels, groups, nr, kernel.rest_lanes, packed);
  return packed;
}

}  // namespace strop::engine
