#include <algorithm>
#include <cmath>

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

// The size times the scale, rounded down, which is told where the scale is a short fraction of a power of
// two.
Dim Scaled(const Dim& dim, double scale) {
  constexpr int64_t kParts = 1 << 10;
  const double parts = scale * kParts;
  if (parts != std::floor(parts) || parts < 1 || parts > 1 << 20) return {};
  return DimOf((SymbolOf(dim) * SymbolicSize::Number(static_cast<int64_t>(parts))).Over(kParts));
}

// Sizes tell the shape, or else scales that are constants.
void Resize(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  if (!x->dims) return call.Out(0, x->dtype, std::nullopt);
  const std::optional<Shape> in = KnownSizes(&*x->dims);
  const Contents* const told = call.Given(3) ? call.input_contents[3] : nullptr;
  const auto sizes = told && !told->empty() ? call.Ints(3) : std::nullopt;
  const bool by_scales = !call.Given(3) || (told && told->empty());
  const Tensor* const constant = by_scales ? call.Constant(call.opset >= 11 ? 2 : 1) : nullptr;
  std::optional<std::vector<double>> scales;
  if (constant && constant->size() == static_cast<int64_t>(x->dims->size())) {
    const Tensor wide = constant->Cast(DType::kF64);
    scales.emplace(wide.As<double>().begin(), wide.As<double>().end());
  }
  const bool whole = call.node.Ints("axes").empty();
  if (in && (sizes || (scales && whole)))
    return call.Out(0, x->dtype, FromSizes(PlanResize(call.node, *in, scales, sizes).output));
  Dims dims(x->dims->size());
  if (told && told->size() == dims.size() && whole &&
      call.node.Text("keep_aspect_ratio_policy", "stretch") == "stretch") {
    for (size_t i = 0; i < dims.size(); ++i)
      dims[i] = (*told)[i].value ? Dim{*(*told)[i].value, {}} : DimOf((*told)[i].symbol);
  } else if (scales && whole) {
    for (size_t i = 0; i < dims.size(); ++i) dims[i] = Scaled((*x->dims)[i], (*scales)[i]);
  }
  call.Out(0, x->dtype, dims);
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
