#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/onnx_types.h"
#include "strop/model/shapes/rule.h"

// Operators that change or ask for the shape, and reductions.
namespace strop::model::shapes {
namespace {

// As many unknown sizes as the one-dimensional input has elements; nullopt when that is unknown too.
std::optional<Dims> Unknown(const Dims* list) {
  if (!list || list->size() != 1 || !(*list)[0].known() || (*list)[0].size > 64) return std::nullopt;
  return Dims(static_cast<size_t>((*list)[0].size));
}

Element ElementOf(const Dim& dim) {
  return {dim.known() ? std::optional(dim.size) : std::nullopt, dim.symbol};
}

// At all positive sizes of what it is told by.
bool IsPositive(const SymbolicSize& symbol) {
  return symbol.rising() && symbol.At([](const std::string&) { return int64_t{1}; }) >= 1;
}

// Sizes taken over from the input cancel, so that [batch,16,7,7] reshaped to [batch,-1] is [batch,784]. They
// are taken to be positive.
void SolveRest(Dims& target, size_t rest, Dims input) {
  Dims others = target;
  others.erase(others.begin() + static_cast<ptrdiff_t>(rest));
  for (auto other = others.begin(); other != others.end();) {
    const auto twin =
        std::find_if(input.begin(), input.end(), [&](const Dim& dim) { return dim.symbol == other->symbol; });
    if (twin == input.end()) {
      ++other;
      continue;
    }
    input.erase(twin);
    other = others.erase(other);
  }
  const Dim behind = ProductOf(others, 0, others.size()), all = ProductOf(input, 0, input.size());
  target[rest] = DimOf(SymbolOf(all).Quotient(SymbolOf(behind)));
}

void Reshape(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const Contents* target = call.input_contents.size() > 1 ? call.input_contents[1] : nullptr;
  const bool allow_zero = call.node.Int("allowzero", 0) != 0;
  if (!target) return call.Out(0, x->dtype, Unknown(call.DimsOf(1)));
  const std::optional<std::vector<int64_t>> sizes = call.Ints(1);
  if (sizes && x->dims) ReshapeTarget(call.node, SizesOf(*x->dims), *sizes, allow_zero);
  Dims dims;
  std::optional<size_t> rest;
  for (size_t i = 0; i < target->size(); ++i) {
    const Element& element = (*target)[i];
    if (!element.value) {
      // One that can be 0 would copy.
      dims.push_back(IsPositive(element.symbol) ? DimOf(element.symbol) : Dim());
    } else if (*element.value == -1) {
      if (rest) ThrowNode(call.node, "the shape holds -1 twice");
      rest = i;
      dims.emplace_back();
    } else if (*element.value == 0 && !allow_zero) {
      if (x->dims && i >= x->dims->size())
        ThrowNode(call.node, "the shape copies a size that the input does not have");
      dims.push_back(x->dims ? (*x->dims)[i] : Dim());
    } else {
      if (*element.value < 0) ThrowNode(call.node, fmt::format("the shape holds {}", *element.value));
      dims.push_back({*element.value, {}});
    }
  }
  if (rest && x->dims) SolveRest(dims, *rest, *x->dims);
  call.Out(0, x->dtype, dims);
}

void Flatten(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  if (!x->dims) return call.Out(0, x->dtype, Dims(2));
  const Dims& dims = *x->dims;
  const auto rank = static_cast<int64_t>(dims.size());
  const int64_t axis = call.node.Int("axis", 1);
  const auto split = static_cast<size_t>(axis == rank ? rank : NormalAxis(call.node, axis, rank));
  call.Out(0, x->dtype, Dims{ProductOf(dims, 0, split), ProductOf(dims, split, dims.size())});
}

void Squeeze(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  std::optional<std::vector<int64_t>> axes = call.IntsSince(13, "axes", 1);
  if (!x->dims || !axes) return call.Out(0, x->dtype, std::nullopt);
  const Dims& in = *x->dims;
  axes = NormalAxes(call.node, *axes, static_cast<int64_t>(in.size()));
  const bool known = std::all_of(in.begin(), in.end(), [](const Dim& d) { return d.known(); });
  if (axes->empty() && !known) return call.Out(0, x->dtype, std::nullopt);
  Dims dims;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool named = std::binary_search(axes->begin(), axes->end(), static_cast<int64_t>(i));
    if (named && in[i].known() && in[i].size != 1) {
      ThrowNode(call.node, fmt::format("axis {} of {} is not 1", i, ShapeText(SizesOf(in))));
    }
    if (!(named || (axes->empty() && in[i].size == 1))) dims.push_back(in[i]);
  }
  call.Out(0, x->dtype, dims);
}

void Unsqueeze(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  std::optional<std::vector<int64_t>> axes = call.IntsSince(13, "axes", 1);
  if (!x->dims || !axes) return call.Out(0, x->dtype, std::nullopt);
  Dims dims = *x->dims;
  axes = NormalAxes(call.node, *axes, static_cast<int64_t>(dims.size() + axes->size()));
  for (const int64_t axis : *axes) dims.insert(dims.begin() + axis, Dim{1, {}});
  call.Out(0, x->dtype, dims);
}

void ShapeOf(Call& call) {
  const Dims* x = call.DimsOf(0);
  if (!x) return call.Out(0, DType::kI64, Dims(1));
  const auto rank = static_cast<int64_t>(x->size());
  const auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamp(call.node.Int("start", 0));
  const int64_t end = std::max(start, clamp(call.node.Int("end", rank)));
  Contents contents;
  for (int64_t i = start; i < end; ++i) {
    const Dim& dim = (*x)[static_cast<size_t>(i)];
    contents.push_back(ElementOf(dim));
  }
  call.Out(0, DType::kI64, Dims{{end - start, {}}});
  call.contents = contents;
}

void SizeOfTensor(Call& call) {
  call.Out(0, DType::kI64, Dims());
  const Dims* x = call.DimsOf(0);
  if (!x) return;
  const Dim count = ProductOf(*x, 0, x->size());
  call.contents = Contents{ElementOf(count)};
}

void Constant(Call& call) {
  for (const auto& [name, value] : call.node.attributes) {
    if (const auto* tensor = std::get_if<Tensor>(&value))
      call.Out(0, tensor->dtype(), FromSizes(tensor->shape()));
    if (name == "value_float") call.Out(0, DType::kF32, Dims());
    if (name == "value_int") call.Out(0, DType::kI64, Dims());
    if (const auto* floats = std::get_if<std::vector<float>>(&value)) {
      call.Out(0, DType::kF32, Dims{{static_cast<int64_t>(floats->size()), {}}});
    }
    if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
      call.Out(0, DType::kI64, Dims{{static_cast<int64_t>(ints->size()), {}}});
    }
  }
}

// The shape that an integer input spells out.
std::optional<Dims> Spelled(const Call& call, size_t input) {
  const Contents* contents = input < call.input_contents.size() ? call.input_contents[input] : nullptr;
  if (!contents) return Unknown(call.DimsOf(input));
  Dims dims;
  for (const Element& element : *contents) {
    if (element.value && *element.value < 0) {
      ThrowNode(call.node, fmt::format("the shape holds {}", *element.value));
    }
    dims.push_back({element.value.value_or(-1), element.symbol});
  }
  return dims;
}

void ConstantOfShape(Call& call) {
  DType dtype = DType::kF32;
  if (const auto found = call.node.attributes.find("value"); found != call.node.attributes.end()) {
    if (const auto* tensor = std::get_if<Tensor>(&found->second)) dtype = tensor->dtype();
  }
  call.Out(0, dtype, Spelled(call, 0));
}

void Expand(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const std::optional<Dims> target = Spelled(call, 1);
  if (!x->dims || !target) return call.Out(0, x->dtype, std::nullopt);
  call.Out(0, x->dtype, BroadcastDims(call.node, *x->dims, *target));
}

void Range(Call& call) {
  const Type* start = call.In(0);
  if (!start) return;
  Dim count;
  const auto from = call.Ints(0), to = call.Ints(1), step = call.Ints(2);
  if (from && to && step && from->size() == 1 && to->size() == 1 && step->size() == 1 && (*step)[0] != 0) {
    const double steps = std::ceil((static_cast<double>((*to)[0]) - static_cast<double>((*from)[0])) /
                                   static_cast<double>((*step)[0]));
    if (steps < 1e15) count.size = std::max<int64_t>(0, static_cast<int64_t>(steps));
  } else if (from == std::vector<int64_t>{0} && step == std::vector<int64_t>{1} && call.input_contents[1] &&
             call.input_contents[1]->size() == 1 && IsPositive((*call.input_contents[1])[0].symbol)) {
    count.symbol = (*call.input_contents[1])[0].symbol;
  }
  call.Out(0, start->dtype, Dims{count});
}

void Cast(Call& call) {
  const Type* x = call.In(0);
  const std::optional<DType> to = FromOnnxType(call.node.Int("to", 0));
  if (!x || !to) return;
  call.Out(0, *to, x->dims);
  const bool integers = *to == DType::kI64 || *to == DType::kI32;
  if (integers && !call.input_contents.empty() && call.input_contents[0])
    call.contents = *call.input_contents[0];
}

void BitCast(Call& call) {
  const std::optional<DType> to = FromOnnxType(call.node.Int("to", 0));
  if (call.In(0) && to) call.Out(0, *to, call.In(0)->dims);
}

void CastLike(Call& call) {
  if (call.In(0) && call.In(1)) call.Out(0, call.In(1)->dtype, call.In(0)->dims);
}

std::optional<Dims> Reduced(const Call& call, const std::vector<int64_t>& axes, bool all_when_empty) {
  const Dims* x = call.DimsOf(0);
  if (!x) return std::nullopt;
  const std::vector<int64_t> normal = NormalAxes(call.node, axes, static_cast<int64_t>(x->size()));
  const bool keep = call.node.Int("keepdims", 1) != 0;
  Dims dims;
  for (size_t i = 0; i < x->size(); ++i) {
    const bool reduced = (normal.empty() && all_when_empty) ||
                         std::binary_search(normal.begin(), normal.end(), static_cast<int64_t>(i));
    if (!reduced) dims.push_back((*x)[i]);
    if (reduced && keep) dims.push_back({1, {}});
  }
  return dims;
}

template <int64_t axes_since>
void Reduce(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const auto axes = call.IntsSince(axes_since, "axes", 1);
  const bool noop = call.node.Int("noop_with_empty_axes", 0) != 0;
  call.Out(0, x->dtype, axes ? Reduced(call, *axes, !noop) : std::nullopt);
}

void Arg(Call& call) { call.Out(0, DType::kI64, Reduced(call, {call.node.Int("axis", 0)}, false)); }

constexpr Rule kRules[] = {
    {"ArgMax", Arg},
    {"ArgMin", Arg},
    {"BitCast", BitCast},
    {"Cast", Cast},
    {"CastLike", CastLike},
    {"Constant", Constant},
    {"ConstantOfShape", ConstantOfShape},
    {"Expand", Expand},
    {"Flatten", Flatten},
    {"Range", Range},
    {"ReduceL1", Reduce<18>},
    {"ReduceL2", Reduce<18>},
    {"ReduceLogSum", Reduce<18>},
    {"ReduceLogSumExp", Reduce<18>},
    {"ReduceMax", Reduce<18>},
    {"ReduceMean", Reduce<18>},
    {"ReduceMin", Reduce<18>},
    {"ReduceProd", Reduce<18>},
    {"ReduceSum", Reduce<13>},
    {"ReduceSumSquare", Reduce<18>},
    {"Reshape", Reshape},
    {"Shape", ShapeOf},
    {"Size", SizeOfTensor},
    {"Squeeze", Squeeze},
    {"Unsqueeze", Unsqueeze},
};

}  // namespace

std::span<const Rule> ShapeRules() { return kRules; }

}  // namespace strop::model::shapes
