#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

struct Box {
  float low_y, low_x, high_y, high_x;
  float Area() const { return (high_y - low_y) * (high_x - low_x); }
};

// Corners in any order, or centre and size (center_point_box).
Box ReadBox(const float* box, bool centre) {
  if (centre) return {box[1] - box[3] / 2, box[0] - box[2] / 2, box[1] + box[3] / 2, box[0] + box[2] / 2};
  return {std::min(box[0], box[2]), std::min(box[1], box[3]), std::max(box[0], box[2]),
          std::max(box[1], box[3])};
}

float Overlap(const Box& a, const Box& b) {
  const float height = std::min(a.high_y, b.high_y) - std::max(a.low_y, b.low_y);
  const float width = std::min(a.high_x, b.high_x) - std::max(a.low_x, b.low_x);
  if (height <= 0 || width <= 0) return 0;
  const float both = height * width, either = a.Area() + b.Area() - both;
  return either <= 0 ? 0 : both / either;
}

double NumberOr(const Call& call, size_t input, double fallback) {
  if (!call.Has(input)) return fallback;
  if (call.In(input).size() != 1) call.Fail(fmt::format("the input at position {} is no number", input));
  return Doubles(call.In(input)).As<double>()[0];
}

// The boxes that stay, best first; one goes when it overlaps a better one by more than the threshold.
std::vector<int64_t> Kept(std::span<const Box> boxes, std::span<const float> scores, size_t most,
                          float overlap, const double* least_score) {
  std::vector<int64_t> order(boxes.size()), kept;
  std::iota(order.begin(), order.end(), 0);
  const auto score = [&](int64_t i) { return scores[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return score(a) > score(b); });
  for (const int64_t i : order) {
    if (kept.size() >= most) break;
    if (least_score && !(static_cast<double>(score(i)) > *least_score)) continue;
    const auto hides = [&](int64_t better) {
      return Overlap(boxes[static_cast<size_t>(better)], boxes[static_cast<size_t>(i)]) > overlap;
    };
    if (std::none_of(kept.begin(), kept.end(), hides)) kept.push_back(i);
  }
  return kept;
}

// boxes [batch, n, 4], scores [batch, classes, n] -> [kept, (batch, class, box)].
Results NonMaxSuppression(const Call& call) {
  const Shape &at = call.In(0).shape(), &scored = call.In(1).shape();
  if (at.size() != 3 || at[2] != 4 || scored.size() != 3 || scored[0] != at[0] || scored[2] != at[1])
    call.Fail(fmt::format("boxes {} and scores {} do not suit", ShapeText(at), ShapeText(scored)));
  const bool centre = call.node.Int("center_point_box", 0) != 0;
  const auto most = static_cast<size_t>(std::max(0.0, NumberOr(call, 2, 0)));
  const auto overlap = static_cast<float>(NumberOr(call, 3, 0));
  const double least = NumberOr(call, 4, 0);
  std::vector<int64_t> answer;
  const auto count = static_cast<size_t>(at[1]);
  for (int64_t batch = 0; batch < at[0]; ++batch) {
    std::vector<Box> boxes;
    for (size_t i = 0; i < count; ++i)
      boxes.push_back(
          ReadBox(call.In(0).As<float>().data() + (static_cast<size_t>(batch) * count + i) * 4, centre));
    for (int64_t kind = 0; kind < scored[1]; ++kind) {
      const auto scores =
          call.In(1).As<float>().subspan(static_cast<size_t>(batch * scored[1] + kind) * count, count);
      for (const int64_t box : Kept(boxes, scores, most, overlap, call.Has(4) ? &least : nullptr))
        answer.insert(answer.end(), {batch, kind, box});
    }
  }
  return {Tensor::From<int64_t>({static_cast<int64_t>(answer.size() / 3), 3}, answer)};
}

constexpr Operator kOperators[] = {{"NonMaxSuppression", 10, NonMaxSuppression}};

}  // namespace

std::span<const Operator> SuppressOperators() { return kOperators; }

}  // namespace strop::model::reference
