#include <algorithm>
#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/model/dims.h"
#include "strop/model/graph.h"
#include "strop/model/reference/evaluator.h"
#include "strop/model/shapes/rule.h"

namespace strop::model {
namespace shapes {
namespace {

constexpr int64_t kMostContents = 64;  // larger integer tensors are weights or indices, not shapes

bool IsInteger(DType dtype) { return dtype == DType::kI64 || dtype == DType::kI32; }

using Rules = std::map<std::string_view, Rule>;

Rules RulesOf(std::initializer_list<std::span<const Rule>> families) {
  Rules rules;
  for (const auto& family : families)
    for (const Rule& rule : family) rules.emplace(rule.op, rule);
  return rules;
}

const Rule* FindRule(const Node& node) {
  static const std::map<std::string_view, Rules> kDomains = {
      {"", RulesOf({ElementwiseRules(), LayerRules(), ShapeRules(), MoveRules(), AttentionRules(),
                    RecurrentRules(), SpatialRules(), SelectRules()})},
      {"ai.onnx.ml", RulesOf({MlRules()})},
  };
  const auto domain = kDomains.find(node.domain);
  if (domain == kDomains.end()) return nullptr;
  const auto found = domain->second.find(node.op);
  return found == domain->second.end() ? nullptr : &found->second;
}

std::optional<Contents> ContentsOf(const Tensor& tensor) {
  if (!IsInteger(tensor.dtype()) || tensor.size() > kMostContents) return std::nullopt;
  const Tensor wide = tensor.Cast(DType::kI64);
  Contents contents;
  for (const int64_t value : wide.As<int64_t>()) contents.push_back({value, {}});
  return contents;
}

// Operators that only move elements of their first input (Concat: of all), so that unknown ones can be
// followed.
bool MovesElements(const Node& node, size_t input) {
  static const std::set<std::string> kMoves = {"Expand", "Flatten", "Gather",  "Identity", "Reshape",
                                               "Slice",  "Split",   "Squeeze", "Unsqueeze"};
  return node.op == "Concat" || (input == 0 && kMoves.contains(node.op));
}

SymbolicSize SymbolOf(const Element& element) {
  return element.value ? SymbolicSize::Number(*element.value) : element.symbol;
}

// What Add, Sub, Mul and Div make of integers some of which are sizes: of as many as the other input has,
// or one.
std::optional<Contents> Calculate(const Call& call) {
  const std::string& op = call.node.op;
  if ((op != "Add" && op != "Sub" && op != "Mul" && op != "Div") || call.inputs.size() != 2 || !call.In(0) ||
      call.In(0)->dtype != DType::kI64 || !call.input_contents[0] || !call.input_contents[1])
    return std::nullopt;
  const Contents &a = *call.input_contents[0], &b = *call.input_contents[1];
  if (std::min(a.size(), b.size()) < 1 || (a.size() != b.size() && a.size() != 1 && b.size() != 1))
    return std::nullopt;
  const auto known = [](const Element& element) { return element.value.has_value(); };
  if (std::all_of(a.begin(), a.end(), known) && std::all_of(b.begin(), b.end(), known)) return std::nullopt;
  // A column and a row would be a table.
  const Dims *x = call.DimsOf(0), *y = call.DimsOf(1);
  if (!x || !y || x->size() > 1 || y->size() > 1) return std::nullopt;
  const auto one = [](const auto& self) { return self.At([](const std::string&) { return int64_t{1}; }); };
  Contents contents;
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const Element &p = a[a.size() == 1 ? 0 : i], &q = b[b.size() == 1 ? 0 : i];
    const SymbolicSize from = SymbolOf(p), by = SymbolOf(q);
    SymbolicSize made;
    if (op == "Add") made = from + by;
    if (op == "Mul") made = from * by;
    if (op == "Sub" && q.value && *q.value > INT64_MIN) made = from + SymbolicSize::Number(-*q.value);
    // Division cuts off, which is rounding down where nothing is negative.
    if (op == "Div" && q.value && *q.value > 0 && from.rising() && one(from) >= 0) made = from.Over(*q.value);
    contents.push_back({made.number(), made.number() ? SymbolicSize() : made});
  }
  return contents;
}

// Computes the integers that leave the node. Elements that are moved travel as their number in `moved`, so
// those with no known value come through too.
std::optional<Contents> Follow(const Call& call) {
  const std::optional<Type>& out = call.outputs.empty() ? std::nullopt : call.outputs[0];
  if (!out || !IsInteger(out->dtype) || !out->dims || !reference::Supports(call.node, call.opset))
    return std::nullopt;
  const Dim count = ProductOf(*out->dims, 0, out->dims->size());
  if (!count.known() || count.size > kMostContents) return std::nullopt;
  Contents moved;
  std::vector<Tensor> arguments;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    if (!call.Given(i)) {
      arguments.emplace_back();
      continue;
    }
    const Contents* contents = call.input_contents[i];
    const Dims* dims = call.DimsOf(i);
    if (!contents || !dims) return std::nullopt;
    std::vector<int64_t> values;
    for (const Element& element : *contents) {
      if (MovesElements(call.node, i)) {
        values.push_back(static_cast<int64_t>(moved.size()));
        moved.push_back(element);
      } else if (element.value) {
        values.push_back(*element.value);
      } else {
        return std::nullopt;
      }
    }
    arguments.push_back(Tensor::From<int64_t>(SizesOf(*dims), values).Cast(call.In(i)->dtype));
  }
  if (arguments.empty() && call.node.op != "Constant") return std::nullopt;
  std::optional<Contents> contents = ContentsOf(reference::EvaluateNode(call.node, call.opset, arguments)[0]);
  if (!contents || moved.empty()) return contents;
  for (Element& element : *contents) element = moved[static_cast<size_t>(*element.value)];
  return contents;
}

// The name of a size that is only known as the axis of a value. Names of models are of one line.
std::string SizeName(std::string_view value, size_t axis) { return fmt::format("{}\n{}", value, axis); }
bool IsOfAValue(const std::string& size) { return size.find('\n') != std::string::npos; }

void NameUnknown(std::string_view value, Type& type) {
  for (size_t axis = 0; type.dims && axis < type.dims->size(); ++axis) {
    Dim& dim = (*type.dims)[axis];
    if (!dim.known() && !dim.symbol.known()) dim.symbol = SymbolicSize::Named(SizeName(value, axis));
  }
}

ValueInfo Info(const std::string& name, const Type& type) {
  ValueInfo info{name, type.dtype, {}, {}, type.dims.has_value()};
  if (!type.dims) return info;
  info.shape.reserve(type.dims->size());
  info.dim_names.reserve(type.dims->size());
  info.sizes.reserve(type.dims->size());
  for (const Dim& dim : *type.dims) {
    info.shape.push_back(dim.size);
    const std::string* const single = dim.known() ? nullptr : dim.symbol.name();
    info.dim_names.push_back(single && !IsOfAValue(*single) ? *single : "");
    info.sizes.push_back(dim.symbol);
  }
  return info;
}

Type TypeOf(const ValueInfo& info) {
  if (!info.has_shape) return {info.dtype, std::nullopt};
  Dims dims;
  for (size_t i = 0; i < info.shape.size(); ++i) {
    const bool named = info.shape[i] < 0 && i < info.dim_names.size() && !info.dim_names[i].empty();
    dims.push_back({info.shape[i], named ? SymbolicSize::Named(info.dim_names[i]) : SymbolicSize()});
  }
  return {info.dtype, dims};
}

Type InputType(const ValueInfo& declared, const std::map<std::string, Shape>& given) {
  Type type = TypeOf(declared);
  const auto found = given.find(declared.name);
  if (found == given.end()) return type;
  const Shape& shape = found->second;
  bool fits = !type.dims || type.dims->size() == shape.size();
  for (size_t i = 0; fits && type.dims && i < shape.size(); ++i) {
    fits = shape[i] < 0 || !(*type.dims)[i].known() || (*type.dims)[i].size == shape[i];
  }
  if (!fits) {
    throw Error(Code::kInvalidArgument, fmt::format("the input {} is {}, expected {}", declared.name,
                                                    ShapeText(shape), ShapeText(declared.shape)));
  }
  if (!type.dims) {
    type.dims = FromSizes(shape);
    return type;
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] >= 0) (*type.dims)[i] = {shape[i], {}};
  }
  return type;
}

}  // namespace

const Tensor* Call::Constant(size_t i) const {
  if (!Given(i)) return nullptr;
  const auto found = constants.find(node.inputs[i]);
  return found == constants.end() || found->second.data() == nullptr ? nullptr : &found->second;
}

std::optional<std::vector<int64_t>> Call::Ints(size_t i) const {
  if (i >= input_contents.size() || !input_contents[i]) return std::nullopt;
  std::vector<int64_t> values;
  for (const Element& element : *input_contents[i]) {
    if (!element.value) return std::nullopt;
    values.push_back(*element.value);
  }
  return values;
}

std::optional<std::vector<int64_t>> Call::IntsSince(int64_t since, const char* attribute, size_t i) const {
  if (opset < since) return node.Ints(attribute);
  if (!Given(i)) return std::vector<int64_t>();
  return Ints(i);
}

Shape SizesOf(const Dims& dims) {
  Shape sizes;
  sizes.reserve(dims.size());
  for (const Dim& dim : dims) sizes.push_back(dim.size);
  return sizes;
}

Dims FromSizes(const Shape& sizes) {
  Dims dims;
  dims.reserve(sizes.size());
  for (const int64_t size : sizes) dims.push_back({size, {}});
  return dims;
}

Dims BroadcastDims(const Node& node, const Dims& a, const Dims& b) {
  const Dims& longer = a.size() >= b.size() ? a : b;
  const Dims& shorter = a.size() >= b.size() ? b : a;
  Dims result = FromSizes(BroadcastShapes(node, SizesOf(a), SizesOf(b)));
  const size_t lead = longer.size() - shorter.size();
  for (size_t i = 0; i < result.size(); ++i) {
    if (result[i].known()) continue;
    const Dim other = i < lead ? Dim{1, {}} : shorter[i - lead];
    if (other.size == 1 || other.symbol == longer[i].symbol) {
      result[i] = longer[i];
    } else if (longer[i].size == 1) {
      result[i] = other;
    }
  }
  return result;
}

SymbolicSize SymbolOf(const Dim& dim) { return dim.known() ? SymbolicSize::Number(dim.size) : dim.symbol; }

Dim DimOf(const SymbolicSize& symbol) {
  const std::optional<int64_t> number = symbol.number();
  return number ? Dim{std::max<int64_t>(*number, -1), {}} : Dim{-1, symbol};
}

Dim Plus(const Dim& a, const Dim& b) { return DimOf(SymbolOf(a) + SymbolOf(b)); }

Dim Times(const Dim& a, const Dim& b) {
  int64_t known;
  if (a.known() && b.known() && !__builtin_mul_overflow(a.size, b.size, &known)) return {known, {}};
  return DimOf(SymbolOf(a) * SymbolOf(b));
}

Dim Over(const Dim& dim, int64_t divisor) {
  return dim.known() ? Dim{dim.size / divisor, {}} : DimOf(dim.symbol.Over(divisor));
}

Dim ProductOf(const Dims& dims, size_t begin, size_t end) {
  Dim product{1, {}};
  for (size_t i = begin; i < end; ++i) product = Times(product, dims[i]);
  return product;
}

}  // namespace shapes

std::map<std::string, ValueInfo> InferShapes(const Graph& graph, const std::map<std::string, Shape>& inputs) {
  using shapes::Type;
  // By the graph's own names, which are long and begin alike.
  std::unordered_map<std::string_view, Type> types;
  std::unordered_map<std::string_view, shapes::Contents> contents;
  types.reserve(graph.initializers.size() + graph.inputs.size() + 2 * graph.nodes.size());
  for (const auto& [name, tensor] : graph.initializers) {
    types[name] = {tensor.dtype(), shapes::FromSizes(tensor.shape())};
    if (auto known = shapes::ContentsOf(tensor)) contents[name] = std::move(*known);
  }
  for (const ValueInfo& input : graph.inputs) {
    Type type = shapes::InputType(input, inputs);
    shapes::NameUnknown(input.name, type);
    types[input.name] = std::move(type);
  }
  for (const Node& node : graph.nodes) {
    const shapes::Rule* rule = shapes::FindRule(node);
    if (!rule) continue;
    shapes::Call call{node, graph.opset(), {}, {}, {}, {}, graph.initializers};
    for (const std::string& input : node.inputs) {
      const auto type = types.find(input);
      const auto known = contents.find(input);
      call.inputs.push_back(type == types.end() ? nullptr : &type->second);
      call.input_contents.push_back(known == contents.end() ? nullptr : &known->second);
    }
    call.outputs.resize(node.outputs.size());
    rule->infer(call);
    std::optional<shapes::Contents> known = call.contents ? call.contents : shapes::Calculate(call);
    if (!known) {
      try {
        known = shapes::Follow(call);
      } catch (const Error& error) {
        if (error.code() != Code::kUnsupported) throw;
      }
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty() || !call.outputs[i]) continue;
      shapes::NameUnknown(node.outputs[i], *call.outputs[i]);
      types[node.outputs[i]] = std::move(*call.outputs[i]);
    }
    if (known && !node.outputs.empty()) contents[node.outputs[0]] = std::move(*known);
  }
  std::vector<std::string_view> declared;  // what is known of them is not inferred
  for (const ValueInfo& output : graph.outputs)
    if (types.emplace(output.name, shapes::TypeOf(output)).second) declared.push_back(output.name);
  std::vector<std::string_view> names;
  names.reserve(types.size());
  for (const auto& [name, type] : types) names.push_back(name);
  std::sort(names.begin(), names.end());
  std::map<std::string, ValueInfo> values;
  for (const std::string_view name : names)
    values.emplace_hint(values.end(), name, shapes::Info(std::string(name), types.at(name)));
  for (const std::string_view name : declared) values.find(std::string(name))->second.sizes.clear();
  return values;
}

bool SameSize(const ValueInfo& a, size_t i, const ValueInfo& b, size_t j) {
  if (a.shape[i] != b.shape[j]) return false;
  return a.shape[i] != -1 || (i < a.sizes.size() && j < b.sizes.size() && a.sizes[i] == b.sizes[j]);
}

}  // namespace strop::model
