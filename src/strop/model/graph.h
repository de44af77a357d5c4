#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/symbolic_size.h"

namespace strop::model {

// A tensor attribute keeps its elements; a subgraph attribute is kept as ONNX bytes and only carried along.
struct SubgraphBytes {
  std::string bytes;
};
using Attribute = std::variant<int64_t, float, std::string, Tensor, SubgraphBytes, std::vector<int64_t>,
                               std::vector<float>, std::vector<std::string>>;

// One operator. Values are named; an absent optional input is "".
struct STROP_API Node {
  std::string op;      // "Conv"
  std::string domain;  // "" is ai.onnx
  std::string name;    // unique after Graph::Load
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, Attribute> attributes;

  int64_t Int(std::string_view attribute, int64_t fallback) const;
  float Float(std::string_view attribute, float fallback) const;
  std::string Text(std::string_view attribute, std::string_view fallback) const;
  std::vector<int64_t> Ints(std::string_view attribute, const std::vector<int64_t>& fallback = {}) const;
};

// The type of a value: dtype and shape, -1 where dynamic. Dynamic sizes keep their names for writing back.
struct STROP_API ValueInfo {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<std::string> dim_names;  // as long as shape; "" where there is none
  bool has_shape = true;               // false: not even the rank is known, and shape is empty
  // From InferShapes alone, as long as shape: what the dynamic sizes are, of those of the model's inputs.
  // Empty for declared types; not written.
  std::vector<SymbolicSize> sizes = {};
};

// An ONNX model in memory (specification: onnx/onnx docs/IR.md). Nodes are in topological order. Plain data:
// rooms rewrite it freely; Validate() says whether it still holds together. Not thread safe while being
// changed.
struct STROP_API Graph {
  std::string name;
  int64_t ir_version = 10;
  std::map<std::string, int64_t> opsets;  // domain -> version; "" is ai.onnx
  std::vector<ValueInfo> inputs;          // without the initializers
  std::vector<ValueInfo> outputs;
  std::vector<Node> nodes;
  std::map<std::string, Tensor> initializers;   // 4-bit types are unpacked to int8 / uint8, see `packed4`
  std::set<std::string> packed4;                // initializers that ONNX stores as INT4 / UINT4
  std::map<std::string, std::string> metadata;  // strop.penultimate: the tapped value's name

  // Reads any opset. Throws kNotFound; kCorrupt ("model.onnx is not an ONNX model: …"); kUnsupported naming
  // node and type for what no part of Strop can hold (bfloat16, strings, sequences, sparse initializers,
  // model-local functions). External data is read from files below the model's folder; Parse has none. Nodes
  // are sorted if they were not.
  static Graph Load(const std::filesystem::path& path);
  static Graph Parse(std::string_view onnx_bytes, const std::string& where = "model");
  // Atomic. Writes tensors as raw_data inside the file (kUnsupported beyond ONNX's 2 GiB), the opsets and
  // metadata as they stand, and an IR version of at least 4, the first in which an initializer need not be an
  // input too.
  void Save(const std::filesystem::path& path) const;
  std::string Serialize() const;

  // Throws kInvalidArgument naming the node when a value is used before it is made, made twice, or an output
  // is missing, or an operator has too few or too many inputs or outputs.
  void Validate() const;

  int64_t opset() const;  // of ai.onnx; 1 where no node is of it
  const Node* Producer(std::string_view value) const;
  std::vector<const Node*> Consumers(std::string_view value) const;
  const ValueInfo* FindInput(std::string_view value) const;
  bool IsInitializer(std::string_view value) const { return initializers.contains(std::string(value)); }
  // `base`, or base_2, base_3 … : a name that no value of the graph has.
  std::string FreshName(const std::string& base) const;
};

// dtype and shape of every value: declared inputs (overridden by `inputs`), initializers, and what follows
// from them operator by operator. A value behind an operator without a rule is absent. A dynamic size keeps
// its name where it is passed on unchanged; `sizes` follow it further. A size that has no name, or depends on
// more than sizes, is named by its value and axis there. Throws kInvalidArgument naming the node when shapes
// contradict each other.
STROP_API std::map<std::string, ValueInfo> InferShapes(const Graph& graph,
                                                       const std::map<std::string, Shape>& inputs = {});

// Whether the sizes of axis i of `a` and axis j of `b`, as InferShapes tells them, are equal whatever the
// dynamic ones are.
STROP_API bool SameSize(const ValueInfo& a, size_t i, const ValueInfo& b, size_t j);

// The value that feeds the last weighted layer (Gemm, MatMul, Conv) before the first output: what detectors
// tap. metadata["strop.penultimate"] when set. Empty when there is none.
STROP_API std::string Penultimate(const Graph& graph);

}  // namespace strop::model
