#include <algorithm>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/onnx_types.h"
#include "strop/model/shapes/rule.h"

namespace strop::model::shapes {
namespace {

Shape Spatial(const Dims& dims) {
  const Shape sizes = SizesOf(dims);
  return {sizes.begin() + 2, sizes.end()};
}

// The spatial sizes of what the kernel makes of x.
void AppendWindows(const Call& call, Dims& dims, const Dims& x, std::vector<int64_t> kernel) {
  const Window window = SlideWindow(call.node, Spatial(x), std::move(kernel));
  for (size_t axis = 0; axis < window.output.size(); ++axis) {
    Dim dim{window.output[axis], {}};
    const auto count = dim.known() ? std::nullopt : CountOverAnySize(call.node, window, axis);
    if (count) dim = DimOf((SymbolOf(x[axis + 2]) + SymbolicSize::Number(count->offset)).Over(count->stride));
    dims.push_back(dim);
  }
}

void CheckRank(const Call& call, const Dims& dims, size_t least) {
  if (dims.size() < least) {
    ThrowNode(call.node, fmt::format("the input {} has fewer than {} axes", ShapeText(SizesOf(dims)), least));
  }
}

std::optional<Dims> ConvDims(const Call& call, const Dims* x, const Dims* w) {
  if (!x || !w) return std::nullopt;
  CheckRank(call, *x, 3);
  const int64_t group = call.node.Int("group", 1);
  const Dim &channels = (*x)[1], &per_group = w->size() == x->size() ? (*w)[1] : Dim{};
  if (w->size() != x->size() || group < 1 || group > INT32_MAX ||
      (channels.known() && per_group.known() && channels.size != per_group.size * group)) {
    ThrowNode(call.node, fmt::format("weights {} of {} groups do not suit the input {}",
                                     ShapeText(SizesOf(*w)), group, ShapeText(SizesOf(*x))));
  }
  Dims dims = {(*x)[0], (*w)[0]};
  AppendWindows(call, dims, *x, Spatial(*w));
  return dims;
}

void Conv(Call& call) {
  if (const Type* x = call.In(0)) call.Out(0, x->dtype, ConvDims(call, call.DimsOf(0), call.DimsOf(1)));
}

void ConvInteger(Call& call) { call.Out(0, DType::kI32, ConvDims(call, call.DimsOf(0), call.DimsOf(1))); }

void QLinearConv(Call& call) {
  if (const Type* zero = call.In(7)) call.Out(0, zero->dtype, ConvDims(call, call.DimsOf(0), call.DimsOf(3)));
}

void ConvTranspose(Call& call) {
  const Type* type = call.In(0);
  const Dims *x = call.DimsOf(0), *w = call.DimsOf(1);
  if (!type) return;
  if (!x || !w) return call.Out(0, type->dtype, std::nullopt);
  CheckRank(call, *x, 3);
  const int64_t group = call.node.Int("group", 1);
  if (w->size() != x->size() || group < 1 || group > INT32_MAX) {
    ThrowNode(call.node, fmt::format("weights {} of {} groups do not suit the input {}",
                                     ShapeText(SizesOf(*w)), group, ShapeText(SizesOf(*x))));
  }
  const int64_t filters = (*w)[1].size;
  Dims dims = {(*x)[0], {filters < 0 ? -1 : filters * group, {}}};
  const Window window = TransposedWindow(call.node, Spatial(*x), Spatial(*w));
  for (size_t axis = 0; axis < window.output.size(); ++axis) {
    Dim dim{window.output[axis], {}};
    const auto size = dim.known() ? std::nullopt : SizeOverAnySize(call.node, window, axis);
    if (size)
      dim = DimOf((*x)[axis + 2].symbol * SymbolicSize::Number(size->stride) +
                  SymbolicSize::Number(size->offset));
    dims.push_back(dim);
  }
  call.Out(0, type->dtype, dims);
}

void Pool(Call& call) {
  const Type* type = call.In(0);
  if (!type) return;
  std::optional<Dims> dims;
  if (const Dims* x = call.DimsOf(0)) {
    CheckRank(call, *x, 3);
    dims = Dims{(*x)[0], (*x)[1]};
    AppendWindows(call, *dims, *x, call.node.Ints("kernel_shape"));
  }
  call.Out(0, type->dtype, dims);
  call.Out(1, DType::kI64, dims);  // MaxPool's indices
}

void GlobalPool(Call& call) {
  const Type* type = call.In(0);
  if (!type) return;
  std::optional<Dims> dims = type->dims;
  if (dims) {
    CheckRank(call, *dims, 3);
    std::fill(dims->begin() + 2, dims->end(), Dim{1, {}});
  }
  call.Out(0, type->dtype, dims);
}

void CheckInner(const Call& call, const Dims& a, const Dims& b, const Dim& x, const Dim& y) {
  if (x.known() && y.known() && x.size != y.size) {
    ThrowNode(call.node,
              fmt::format("{} and {} do not multiply", ShapeText(SizesOf(a)), ShapeText(SizesOf(b))));
  }
}

void Gemm(Call& call) {
  const Type* type = call.In(0);
  if (!type) return;
  const Dims *a = call.DimsOf(0), *b = call.DimsOf(1);
  if (!a || !b) return call.Out(0, type->dtype, std::nullopt);
  if (a->size() != 2 || b->size() != 2) ThrowNode(call.node, "A and B must be matrices");
  const size_t across_a = call.node.Int("transA", 0) != 0 ? 1 : 0;
  const size_t across_b = call.node.Int("transB", 0) != 0 ? 0 : 1;
  CheckInner(call, *a, *b, (*a)[1 - across_a], (*b)[1 - across_b]);
  const Dims dims = {(*a)[across_a], (*b)[across_b]};
  if (const Dims* c = call.DimsOf(2)) BroadcastDims(call.node, *c, dims);
  call.Out(0, type->dtype, dims);
}

std::optional<Dims> MatMulDims(const Call& call, const Dims* left, const Dims* right) {
  if (!left || !right) return std::nullopt;
  Dims a = *left, b = *right;
  if (a.empty() || b.empty()) ThrowNode(call.node, "a scalar does not multiply");
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), Dim{1, {}});
  if (column) b.push_back({1, {}});
  CheckInner(call, *left, *right, a.back(), b[b.size() - 2]);
  Dims dims = BroadcastDims(call.node, {a.begin(), a.end() - 2}, {b.begin(), b.end() - 2});
  if (!row) dims.push_back(a[a.size() - 2]);
  if (!column) dims.push_back(b.back());
  return dims;
}

void MatMul(Call& call) {
  if (const Type* x = call.In(0)) call.Out(0, x->dtype, MatMulDims(call, call.DimsOf(0), call.DimsOf(1)));
}

void MatMulInteger(Call& call) { call.Out(0, DType::kI32, MatMulDims(call, call.DimsOf(0), call.DimsOf(1))); }

void QLinearMatMul(Call& call) {
  if (const Type* zero = call.In(7))
    call.Out(0, zero->dtype, MatMulDims(call, call.DimsOf(0), call.DimsOf(3)));
}

// Only the first output: the others of BatchNormalization exist in training alone.
void Normalization(Call& call) {
  if (const Type* x = call.In(0)) call.Out(0, x->dtype, x->dims);
}

void LayerNormalization(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  call.Out(0, x->dtype, x->dims);
  std::optional<Dims> moments = x->dims;
  if (moments) {
    const int64_t axis =
        NormalAxis(call.node, call.node.Int("axis", -1), static_cast<int64_t>(moments->size()));
    std::fill(moments->begin() + axis, moments->end(), Dim{1, {}});
  }
  call.Out(1, DType::kF32, moments);
  call.Out(2, DType::kF32, moments);
}

void QuantizeLinear(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const int64_t wanted = call.node.Int("output_dtype", 0);
  std::optional<DType> dtype = wanted == 0 ? DType::kU8 : FromOnnxType(wanted);
  if (call.Given(2)) dtype = call.In(2) ? std::optional(call.In(2)->dtype) : std::nullopt;
  if (dtype) call.Out(0, *dtype, x->dims);
}

void DequantizeLinear(Call& call) {
  const Type *x = call.In(0), *scale = call.In(1);
  if (!x || !scale) return;
  const int64_t wanted = call.node.Int("output_dtype", 0);
  const std::optional<DType> dtype = wanted == 0 ? scale->dtype : FromOnnxType(wanted);
  if (dtype) call.Out(0, *dtype, x->dims);
}

void DynamicQuantizeLinear(Call& call) {
  if (const Type* x = call.In(0)) call.Out(0, DType::kU8, x->dims);
  call.Out(1, DType::kF32, Dims());
  call.Out(2, DType::kU8, Dims());
}

constexpr Rule kRules[] = {
    {"AveragePool", Pool},
    {"BatchNormalization", Normalization},
    {"Conv", Conv},
    {"ConvInteger", ConvInteger},
    {"ConvTranspose", ConvTranspose},
    {"DequantizeLinear", DequantizeLinear},
    {"DynamicQuantizeLinear", DynamicQuantizeLinear},
    {"Gemm", Gemm},
    {"GlobalAveragePool", GlobalPool},
    {"GlobalMaxPool", GlobalPool},
    {"InstanceNormalization", Normalization},
    {"LayerNormalization", LayerNormalization},
    {"MatMul", MatMul},
    {"MatMulInteger", MatMulInteger},
    {"MaxPool", Pool},
    {"QLinearConv", QLinearConv},
    {"QLinearMatMul", QLinearMatMul},
    {"QuantizeLinear", QuantizeLinear},
};

}  // namespace

std::span<const Rule> LayerRules() { return kRules; }

}  // namespace strop::model::shapes
