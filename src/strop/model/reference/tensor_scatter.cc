#include <cstring>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

// cache[batch, ..., write_indices[batch] + i, ...] = update[batch, ..., i, ...]; circular: modulo the axis.
Results TensorScatter(const Call& call) {
  const Tensor &past = call.In(0), &update = call.In(1);
  const auto rank = static_cast<int64_t>(past.shape().size());
  const int64_t axis = NormalAxis(call.node, call.node.Int("axis", -2), rank);
  const std::string mode = call.node.Text("mode", "linear");
  if (mode != "linear" && mode != "circular") call.Fail("the mode is neither linear nor circular");
  Shape fits = update.shape();
  if (static_cast<int64_t>(fits.size()) == rank)
    fits[static_cast<size_t>(axis)] = past.shape()[static_cast<size_t>(axis)];
  if (fits != past.shape() || update.dtype() != past.dtype() || axis == 0)
    call.Fail(fmt::format("the update {} does not suit the cache {}", ShapeText(update.shape()),
                          ShapeText(past.shape())));
  const int64_t batches = past.shape()[0];
  std::vector<int64_t> begins(static_cast<size_t>(batches), 0);
  if (call.Has(2)) begins = call.Ints(2);
  if (static_cast<int64_t>(begins.size()) != batches) call.Fail("write_indices must hold one index a batch");
  const Around to = SplitAround(past.shape(), axis), from = SplitAround(update.shape(), axis);
  const Tensor y = past.Clone();
  const size_t bytes = static_cast<size_t>(to.inner) * SizeOf(past.dtype());
  for (int64_t outer = 0; outer < to.outer; ++outer) {
    const int64_t begin = begins[static_cast<size_t>(outer / (to.outer / batches))];
    for (int64_t i = 0; i < from.size; ++i) {
      const int64_t place = mode == "circular" && begin >= 0 ? (begin + i) % to.size : begin + i;
      if (place < 0 || place >= to.size)
        call.Fail(fmt::format("index {} is outside of a cache of {}", place, to.size));
      std::memcpy(
          static_cast<char*>(y.data()) + static_cast<size_t>(outer * to.size + place) * bytes,
          static_cast<const char*>(update.data()) + static_cast<size_t>(outer * from.size + i) * bytes,
          bytes);
    }
  }
  return {y};
}

constexpr Operator kOperators[] = {{"TensorScatter", 24, TensorScatter}};

}  // namespace

std::span<const Operator> TensorScatterOperators() { return kOperators; }

}  // namespace strop::model::reference
