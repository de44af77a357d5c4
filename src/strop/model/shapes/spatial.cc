#include <algorithm>

#include "strop/model/dims.h"
#include "strop/model/resize_plan.h"
#include "strop/model/shapes/rule.h"

// Images taken apart, sampled and put together.
namespace strop::model::shapes {
namespace {

std::optional<Shape> KnownSizes(const Dims* dims) {
  if (!dims || !std::all_of(dims->begin(), dims->end(), [](const Dim& dim) { return dim.known(); }))
    return std::nullopt;
  return SizesOf(*dims);
}

// Scales are floats, whose values are not followed: sizes tell the shape, or nothing but the rank is known.
void Resize(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  if (!x->dims) return call.Out(0, x->dtype, std::nullopt);
  const std::optional<Shape> in = KnownSizes(&*x->dims);
  const auto sizes = call.Given(3) ? call.Ints(3) : std::nullopt;
  const Contents* const told = call.Given(3) ? call.input_contents[3] : nullptr;
  const bool stretched = call.node.Text("keep_aspect_ratio_policy", "stretch") == "stretch";
  if ((!in || !sizes) && told && told->size() == x->dims->size() && stretched &&
      call.node.Ints("axes").empty()) {
    Dims dims;
    for (const Element& element : *told)
      dims.push_back(element.value ? Dim{*element.value, {}} : DimOf(element.symbol));
    return call.Out(0, x->dtype, dims);
  }
  if (!in || !sizes) return call.Out(0, x->dtype, Dims(x->dims->size()));
  call.Out(0, x->dtype, FromSizes(PlanResize(call.node, *in, std::nullopt, sizes).output));
}

template <bool apart>
void Blocks(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const int64_t block = call.node.Int("blocksize", 0);
  if (!x->dims || x->dims->size() != 4 || block < 1 || block > INT16_MAX)
    return call.Out(0, x->dtype, std::nullopt);
  const auto times = [](const Dim& dim, int64_t by) { return Times(dim, {by, {}}); };
  const Dims& in = *x->dims;
  call.Out(0, x->dtype,
           apart ? Dims{in[0], times(in[1], block * block), Over(in[2], block), Over(in[3], block)}
                 : Dims{in[0], Over(in[1], block * block), times(in[2], block), times(in[3], block)});
}

void MaxUnpool(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const std::vector<int64_t> kernel = call.node.Ints("kernel_shape");
  const std::optional<Shape> in = KnownSizes(call.DimsOf(0));
  if (call.Given(2)) {
    const auto shape = call.Ints(2);
    return call.Out(0, x->dtype, shape ? std::optional(FromSizes(*shape)) : std::nullopt);
  }
  if (!in || in->size() != kernel.size() + 2) return call.Out(0, x->dtype, std::nullopt);
  const size_t axes = kernel.size();
  const std::vector<int64_t> strides = call.node.Ints("strides", std::vector<int64_t>(axes, 1));
  const std::vector<int64_t> pads = call.node.Ints("pads", std::vector<int64_t>(2 * axes, 0));
  if (strides.size() != axes || pads.size() != 2 * axes) ThrowNode(call.node, "strides or pads do not suit");
  Shape shape = *in;
  for (size_t i = 0; i < axes; ++i)
    shape[i + 2] =
        std::max<int64_t>(-1, (shape[i + 2] - 1) * strides[i] - pads[i] - pads[axes + i] + kernel[i]);
  call.Out(0, x->dtype, FromSizes(shape));
}

void Col2Im(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const auto image = call.Ints(1), block = call.Ints(2);
  if (!x->dims || x->dims->size() != 3 || !image || !block) return call.Out(0, x->dtype, std::nullopt);
  const int64_t taps = Product(*block, 0, block->size());
  const Dim channels = (*x->dims)[1];
  Dims dims = {(*x->dims)[0], channels.known() && taps > 0 ? Dim{channels.size / taps, {}} : Dim{}};
  for (const int64_t size : *image) dims.push_back({size, {}});
  call.Out(0, x->dtype, dims);
}

void GridSample(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const Dims* grid = call.DimsOf(1);
  if (!x->dims || x->dims->size() < 3 || !grid || grid->size() != x->dims->size())
    return call.Out(0, x->dtype, std::nullopt);
  Dims dims = {(*x->dims)[0], (*x->dims)[1]};
  dims.insert(dims.end(), grid->begin() + 1, grid->end() - 1);
  call.Out(0, x->dtype, dims);
}

void DeformConv(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const Dims *w = call.DimsOf(1), *offset = call.DimsOf(2);
  if (!x->dims || !w || w->empty() || !offset || offset->size() < 3)
    return call.Out(0, x->dtype, std::nullopt);
  Dims dims = {(*x->dims)[0], (*w)[0]};
  dims.insert(dims.end(), offset->begin() + 2, offset->end());
  call.Out(0, x->dtype, dims);
}

constexpr Rule kRules[] = {
    {"Col2Im", Col2Im},
    {"DeformConv", DeformConv},
    {"DepthToSpace", Blocks<false>},
    {"GridSample", GridSample},
    {"MaxUnpool", MaxUnpool},
    {"Resize", Resize},
    {"SpaceToDepth", Blocks<true>},
};

}  // namespace

std::span<const Rule> SpatialRules() { return kRules; }

}  // namespace strop::model::shapes
