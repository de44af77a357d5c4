#include <algorithm>
#include <cstdlib>
#include <numeric>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/shapes/rule.h"

namespace strop::model::shapes {
namespace {

void Transpose(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  if (!x->dims) return call.Out(0, x->dtype, std::nullopt);
  const auto rank = static_cast<int64_t>(x->dims->size());
  std::vector<int64_t> perm(x->dims->size());
  std::iota(perm.rbegin(), perm.rend(), 0);
  perm = call.node.Ints("perm", perm);
  if (static_cast<int64_t>(NormalAxes(call.node, perm, rank).size()) != rank) {
    ThrowNode(call.node, fmt::format("perm has {} axes, the input {}", perm.size(), rank));
  }
  Dims dims;
  for (const int64_t axis : perm)
    dims.push_back((*x->dims)[static_cast<size_t>(NormalAxis(call.node, axis, rank))]);
  call.Out(0, x->dtype, dims);
}

void Concat(Call& call) {
  const Type* first = call.In(0);
  if (!first) return;
  std::optional<Dims> joined = first->dims;
  for (size_t i = 1; joined && i < call.inputs.size(); ++i) {
    const Dims* x = call.DimsOf(i);
    if (!x) {
      joined.reset();
      break;
    }
    const auto at = static_cast<size_t>(
        NormalAxis(call.node, call.node.Int("axis", 1), static_cast<int64_t>(joined->size())));
    bool fits = x->size() == joined->size();
    for (size_t axis = 0; fits && axis < x->size(); ++axis) {
      Dim& mine = (*joined)[axis];
      const Dim& other = (*x)[axis];
      if (axis == at) {
        mine = Plus(mine, other);
      } else if (!mine.known()) {
        mine = other.known() ? other : mine;
      } else {
        fits = !other.known() || other.size == mine.size;
      }
    }
    if (!fits) {
      ThrowNode(call.node, fmt::format("{} and {} do not join along axis {}", ShapeText(SizesOf(*joined)),
                                       ShapeText(SizesOf(*x)), at));
    }
  }
  call.Out(0, first->dtype, joined);
}

void Split(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const auto parts = static_cast<int64_t>(call.outputs.size());
  std::optional<std::vector<int64_t>> sizes = call.IntsSince(13, "split", 1);
  for (size_t i = 0; i < call.outputs.size(); ++i) call.Out(i, x->dtype, std::nullopt);
  if (!x->dims) return;
  const auto at = static_cast<size_t>(
      NormalAxis(call.node, call.node.Int("axis", 0), static_cast<int64_t>(x->dims->size())));
  const Dim total = (*x->dims)[at];
  Dims dims = *x->dims;
  for (int64_t i = 0; i < parts; ++i) {
    dims[at] = Dim{};
    if (sizes && !sizes->empty()) {
      const int64_t sum = std::accumulate(sizes->begin(), sizes->end(), int64_t{0});
      if (static_cast<int64_t>(sizes->size()) != parts || (total.known() && sum != total.size)) {
        ThrowNode(call.node,
                  fmt::format("{} outputs do not share the {} elements of axis {}", parts, total.size, at));
      }
      dims[at].size = (*sizes)[static_cast<size_t>(i)];
    } else if (sizes && total.known()) {
      const int64_t chunk = (total.size + parts - 1) / parts;
      dims[at].size = std::clamp<int64_t>(total.size - i * chunk, 0, chunk);
    } else if (sizes) {
      dims[at] = DimOf(total.symbol.Quotient(SymbolicSize::Number(parts)));
    }
    call.Out(static_cast<size_t>(i), x->dtype, dims);
  }
}

// One axis of Slice, as numpy counts it.
int64_t SliceSize(int64_t size, int64_t start, int64_t end, int64_t step) {
  const auto wrap = [&](int64_t v) { return v < 0 ? v + size : v; };
  if (step > 0) {
    const int64_t begin = std::clamp<int64_t>(wrap(start), 0, size);
    const int64_t stop = std::clamp<int64_t>(wrap(end), 0, size);
    return stop <= begin ? 0 : (stop - begin + step - 1) / step;
  }
  const int64_t begin = std::clamp<int64_t>(wrap(start), size == 0 ? -1 : 0, size - 1);
  const int64_t stop = std::clamp<int64_t>(wrap(end), -1, size - 1);
  return begin <= stop ? 0 : (begin - stop - step - 1) / -step;
}

// Whether the slice goes from end to end of any size that fits into memory.
bool IsWhole(int64_t start, int64_t end, int64_t step) {
  constexpr int64_t kFar = int64_t{1} << 48;
  return step > 0 ? start == 0 && end >= kFar : (start == -1 || start >= kFar) && end <= -kFar;
}

void Slice(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  if (!x->dims) return call.Out(0, x->dtype, std::nullopt);
  const auto rank = static_cast<int64_t>(x->dims->size());
  const auto starts = call.IntsSince(10, "starts", 1), ends = call.IntsSince(10, "ends", 2);
  auto axes = call.IntsSince(10, "axes", 3);
  auto steps = call.opset >= 10 && call.Given(4) ? call.Ints(4) : std::vector<int64_t>();
  if (!axes) return call.Out(0, x->dtype, Dims(x->dims->size()));
  if (axes->empty() && starts) {
    axes->resize(starts->size());
    std::iota(axes->begin(), axes->end(), 0);
  }
  NormalAxes(call.node, *axes, rank);
  if (steps && steps->empty()) steps->assign(axes->size(), 1);
  const bool known = starts && ends && steps;
  if (known &&
      (starts->size() != axes->size() || ends->size() != axes->size() || steps->size() != axes->size())) {
    ThrowNode(call.node, "starts, ends, axes and steps differ in length");
  }
  if (!starts && axes->empty()) return call.Out(0, x->dtype, Dims(x->dims->size()));
  Dims dims = *x->dims;
  for (size_t i = 0; i < axes->size(); ++i) {
    Dim& dim = dims[static_cast<size_t>(NormalAxis(call.node, (*axes)[i], rank))];
    if (!known) {
      dim = Dim{};
      continue;
    }
    const int64_t step = std::clamp<int64_t>((*steps)[i], -INT32_MAX, INT32_MAX);
    if (step == 0) ThrowNode(call.node, "a step is 0");
    if (dim.known()) {
      dim.size = SliceSize(dim.size, (*starts)[i], (*ends)[i], step);
    } else {
      dim = IsWhole((*starts)[i], (*ends)[i], step)
                ? Over(Plus(dim, {std::abs(step) - 1, {}}), std::abs(step))
                : Dim{};
    }
  }
  call.Out(0, x->dtype, dims);
}

void Gather(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const Dims* indices = call.DimsOf(1);
  if (!x->dims || !indices) return call.Out(0, x->dtype, std::nullopt);
  const int64_t axis = NormalAxis(call.node, call.node.Int("axis", 0), static_cast<int64_t>(x->dims->size()));
  Dims dims(x->dims->begin(), x->dims->begin() + axis);
  dims.insert(dims.end(), indices->begin(), indices->end());
  dims.insert(dims.end(), x->dims->begin() + axis + 1, x->dims->end());
  call.Out(0, x->dtype, dims);
}

void GatherElements(Call& call) {
  if (call.In(0) && call.In(1)) call.Out(0, call.In(0)->dtype, call.In(1)->dims);
}

void Tile(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  std::optional<Dims> dims = x->dims;
  const auto repeats = call.Ints(1);
  if (dims && repeats && repeats->size() != dims->size()) {
    ThrowNode(call.node, fmt::format("repeats must be {} sizes", dims->size()));
  }
  for (size_t i = 0; dims && i < dims->size(); ++i) {
    const int64_t repeat = repeats ? (*repeats)[i] : -1;
    if (repeat == 1) continue;
    (*dims)[i] = repeat >= 0 ? Times((*dims)[i], {repeat, {}}) : Dim{};
  }
  call.Out(0, x->dtype, dims);
}

void Pad(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  if (!x->dims) return call.Out(0, x->dtype, std::nullopt);
  Dims dims = *x->dims;
  const auto pads = call.IntsSince(11, "pads", 1);
  auto axes = call.opset >= 18 && call.Given(3) ? call.Ints(3) : std::vector<int64_t>();
  if (!pads || !axes) return call.Out(0, x->dtype, Dims(dims.size()));
  if (axes->empty()) {
    axes->resize(dims.size());
    std::iota(axes->begin(), axes->end(), 0);
  }
  NormalAxes(call.node, *axes, static_cast<int64_t>(dims.size()));
  if (pads->size() != 2 * axes->size()) {
    ThrowNode(call.node, fmt::format("pads has {} values, expected {}", pads->size(), 2 * axes->size()));
  }
  for (size_t i = 0; i < axes->size(); ++i) {
    Dim& dim =
        dims[static_cast<size_t>(NormalAxis(call.node, (*axes)[i], static_cast<int64_t>(dims.size())))];
    const int64_t begin = (*pads)[i], end = (*pads)[i + axes->size()];
    if (begin == 0 && end == 0) continue;
    if (std::max(begin, end) > INT32_MAX || std::min(begin, end) < -INT32_MAX ||
        (dim.known() && dim.size + begin + end < 0)) {
      ThrowNode(call.node, fmt::format("pads {} and {} do not suit an axis of {}", begin, end, dim.size));
    }
    dim = DimOf(SymbolOf(dim) + SymbolicSize::Number(begin + end));
  }
  call.Out(0, x->dtype, dims);
}

constexpr Rule kRules[] = {
    {"Concat", Concat}, {"Gather", Gather},       {"GatherElements", GatherElements},
    {"Pad", Pad},       {"Slice", Slice},         {"Split", Split},
    {"Tile", Tile},     {"Transpose", Transpose},
};

}  // namespace

std::span<const Rule> MoveRules() { return kRules; }

}  // namespace strop::model::shapes
