#include <algorithm>
#include <cstdlib>
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

// The list of `lanes` columns as it grows.
class RestList {
 public:
  RestList(int64_t lanes, int64_t k, int64_t part, PackedInt8Weights& packed, std::vector<int8_t>& bytes)
      : size_(static_cast<size_t>(lanes * kGroup)), k_(k), part_(part), packed_(packed), bytes_(bytes) {
    packed_.rest_begin.push_back(static_cast<int64_t>(packed_.rest_row.size()));
  }
  // A weight of the pair that begins at row `pair`, the pairs in order.
  void Add(int64_t pair, int64_t row, size_t lane, int weight) {
    if (weight == 0) return;
    if (row >= end_ || !Place(row, lane, weight)) {
      Begin(pair);
      Place(row, lane, weight);
    }
  }
  void End() { Append(std::numeric_limits<int32_t>::max()); }

 private:
  void Append(int64_t row) {
    packed_.rest_row.push_back(static_cast<int32_t>(row));
    bytes_.resize(bytes_.size() + 2 * size_);
  }
  // A vector for rows from `row` on, up to the end of their part.
  void Begin(int64_t row) {
    const int64_t first = row / part_ * part_, behind = std::min(first + part_, k_);
    begin_ = std::max(first, std::min(row, behind - kInt8RestSpan));
    end_ = std::min(begin_ + kInt8RestSpan, behind);
    Append(begin_);
  }
  // Into a free place of the last vector whose pair it leaves safe.
  bool Place(int64_t row, size_t lane, int weight) {
    int8_t* const weights = bytes_.data() + bytes_.size() - 2 * size_ + lane * kGroup;
    for (size_t i = 0; i < kGroup; ++i) {
      if (weights[i] != 0 || std::abs(weights[i ^ 1] + weight) > kMostOfPair) continue;
      weights[i] = static_cast<int8_t>(weight);
      weights[size_ + i] = static_cast<int8_t>(row - begin_);
      return true;
    }
    return false;
  }

  const size_t size_;  // of a vector
  const int64_t k_, part_;
  PackedInt8Weights& packed_;
  std::vector<int8_t>& bytes_;
  int64_t begin_ = 0, end_ = 0;  // rows of the last vector
};

// From the weights of `lanes` columns, the groups of which lie `stride` bytes apart.
void TakeRests(int8_t* vector, int64_t groups, int64_t stride, int64_t lanes, RestList list) {
  for (int64_t row = 0; row < groups * kGroup; row += 2) {
    int8_t* const weights = vector + row / kGroup * stride + row % kGroup;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const auto [first, second] = Relieve(weights[lane * kGroup], weights[lane * kGroup + 1]);
      list.Add(row, row, static_cast<size_t>(lane), first);
      list.Add(row, row + 1, static_cast<size_t>(lane), second);
    }
  }
  list.End();
}

// From all weights.
void TakeRests(const Int8GemmKernel& kernel, int64_t part, PackedInt8Weights& packed) {
  const auto bytes = packed.panels.As<int8_t>();
  const Shape& shape = packed.panels.shape();
  const int64_t panels = shape[0], groups = shape[1], nr = shape[2], lanes = kernel.rest_lanes;
  std::vector<int8_t> rests;
  for (int64_t panel = 0; panel < panels; ++panel)
    for (int64_t column = 0; column < nr; column += lanes)
      TakeRests(bytes.data() + (panel * groups * nr + column) * kGroup, groups, nr * kGroup, lanes,
                RestList(lanes, packed.k, part, packed, rests));
  if (packed.rest_row.size() == packed.rest_begin.size()) {  // lists of no more than their ends
    packed.rest_row.clear();
    packed.rest_begin.clear();
    return;
  }
  packed.rests = Tensor::New(DType::kI8, {static_cast<int64_t>(packed.rest_row.size()), 2, lanes, kGroup});
  std::copy(rests.begin(), rests.end(), packed.rests.As<int8_t>().begin());
}

}  // namespace

PackedInt8Weights PackInt8Weights(const int8_t* b, int64_t n, int64_t k, bool transposed,
                                  const Int8GemmKernel& kernel, int64_t part) {
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
  if (kernel.rest_lanes != 0) TakeRests(kernel, part == 0 ? std::max<int64_t>(k, 1) : part, packed);
  return packed;
}

}  // namespace strop::engine
