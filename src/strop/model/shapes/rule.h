#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/tensor.h"
#include "strop/model/graph.h"
#include "strop/model/symbolic_size.h"

namespace strop::model::shapes {

// One size: -1 when it is not known, then perhaps what it is of named ones.
struct Dim {
  int64_t size = -1;
  SymbolicSize symbol;

  bool known() const { return size >= 0; }
};
using Dims = std::vector<Dim>;

struct Type {
  DType dtype = DType::kF32;
  std::optional<Dims> dims;  // nullopt: not even the rank is known
};

// One integer inside a small tensor, such as those that Shape and Reshape pass on.
struct Element {
  std::optional<int64_t> value;
  SymbolicSize symbol;  // of an unknown one that is a size
};
using Contents = std::vector<Element>;

// One node while its outputs are inferred. A rule fills `outputs`, and `contents` of the first output if it
// knows it; what it leaves out stays unknown. It throws kInvalidArgument (ThrowNode) for shapes that
// contradict each other.
struct Call {
  const Node& node;
  int64_t opset;
  std::vector<const Type*> inputs;              // nullptr: absent, or unknown
  std::vector<const Contents*> input_contents;  // nullptr: unknown
  std::vector<std::optional<Type>> outputs;     // as many as the node has
  std::optional<Contents> contents;
  const std::map<std::string, Tensor>& constants;

  const Type* In(size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  const Dims* DimsOf(size_t i) const { return In(i) && In(i)->dims ? &*In(i)->dims : nullptr; }
  // An input that is a constant, where its elements are kept: of any dtype.
  const Tensor* Constant(size_t i) const;
  // The integers of an input when all of them are known.
  std::optional<std::vector<int64_t>> Ints(size_t i) const;
  // An attribute until opset `since`, an input from then on; an empty list when it is absent, nullopt when
  // unknown.
  std::optional<std::vector<int64_t>> IntsSince(int64_t since, const char* attribute, size_t i) const;
  bool Given(size_t i) const { return i < node.inputs.size() && !node.inputs[i].empty(); }
  void Out(size_t i, DType dtype, std::optional<Dims> dims) {
    if (i < outputs.size()) outputs[i] = Type{dtype, std::move(dims)};
  }
};

using Function = void (*)(Call& call);
struct Rule {
  std::string_view op;
  Function infer;
};

std::span<const Rule> ElementwiseRules();
std::span<const Rule> LayerRules();
std::span<const Rule> ShapeRules();
std::span<const Rule> MoveRules();
std::span<const Rule> AttentionRules();
std::span<const Rule> RecurrentRules();
std::span<const Rule> SpatialRules();
std::span<const Rule> SelectRules();
std::span<const Rule> MlRules();  // of ai.onnx.ml

Shape SizesOf(const Dims& dims);
Dims FromSizes(const Shape& sizes);
Dims BroadcastDims(const Node& node, const Dims& a, const Dims& b);
Dim Plus(const Dim& a, const Dim& b);
Dim Times(const Dim& a, const Dim& b);
Dim Over(const Dim& dim, int64_t divisor);  // rounded down; a divisor of at least 1
// The size as an expression, unknown where it is; and back.
SymbolicSize SymbolOf(const Dim& dim);
Dim DimOf(const SymbolicSize& symbol);
// Product of dims[begin, end).
Dim ProductOf(const Dims& dims, size_t begin, size_t end);

}  // namespace strop::model::shapes
