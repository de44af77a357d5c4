#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/engine/kernels/clamp.h"
#include "strop/engine/layers/quantization.h"
#include "strop/model/graph.h"

namespace strop::engine {

inline constexpr size_t kNoNode = static_cast<size_t>(-1);

// A graph while layers are looked for in it: who makes and reads each value, and the nodes that are taken.
class STROP_API Search {
 public:
  Search(const model::Graph& graph, const std::map<std::string, model::ValueInfo>& values,
         const std::set<std::string>& kept);

  const model::Graph& graph() const noexcept { return graph_; }
  const model::Node& node(size_t index) const noexcept { return graph_.nodes[index]; }
  size_t size() const noexcept { return graph_.nodes.size(); }

  bool IsTaken(size_t node) const noexcept { return taken_[node]; }
  void Take(const std::vector<size_t>& nodes);
  // What Match(search).At(node), an optional layer with its nodes, finds of one node after the other; takes
  // each.
  template <class Match>
  auto TakeAll() {
    std::vector<typename decltype(Match(*this).At(0))::value_type> found;
    for (size_t index = 0; index < size(); ++index) {
      auto layer = Match(*this).At(index);
      if (!layer) continue;
      Take(layer->nodes);
      found.push_back(std::move(*layer));
    }
    return found;
  }

  // Whether the node is of that operator of ai.onnx, and free.
  bool Is(size_t node, const char* op) const;
  bool IsKept(const std::string& value) const { return kept_.contains(value); }

  size_t Producer(const std::string& value) const;  // kNoNode: an input or a constant
  const std::vector<size_t>& Consumers(const std::string& value) const;
  // The one node that reads a value which is not kept; kNoNode when there are several or none.
  size_t OnlyConsumer(const std::string& value) const;
  // That node, if it is free and of that operator.
  size_t Next(const std::string& value, const char* op) const;

  // nullptr: its type is not known.
  const model::ValueInfo* Value(const std::string& value) const;
  bool IsFloat(const std::string& value) const;
  // nullptr: no initializer, or for the second one of another type.
  const Tensor* Constant(const std::string& value) const;
  const Tensor* FloatConstant(const std::string& value) const;
  // Of a float32 constant of one element.
  std::optional<float> Scalar(const std::string& value) const;

  // Of a free Relu, or Clip by constants.
  std::optional<Clamp> ClampOf(size_t node) const;

  // The free DequantizeLinear without blocks that makes the value for one reader; kNoNode: none such.
  size_t Dequantizer(const std::string& value) const;
  // Of a QuantizeLinear or DequantizeLinear with one scale for all and integers of `dtype`, which are bytes.
  std::optional<Quantization> QuantizationOf(const model::Node& node, DType dtype) const;
  // Of a node that Dequantizer found, or of a QuantizeLinear, where it is of one scale and bytes.
  std::optional<Quantization> Dequantization(size_t node) const;
  std::optional<Quantization> QuantizationInto(size_t node) const;

  // The DequantizeLinear that makes `input` and the QuantizeLinear that alone reads `answer`, where the bytes
  // on both sides stand for the same numbers, so that what moves or picks numbers between can do so to bytes.
  struct Between {
    size_t dequantizer, quantizer;
    Quantization bytes;
  };
  std::optional<Between> BytesAround(const std::string& input, const std::string& answer) const;

  // Whether the node dequantizes constant weights of that rank: int8 without a zero point, or uint8 around
  // 128, with one scale for all or one for each place along `axis`.
  bool IsWeights(size_t dequantizer, size_t rank, int64_t axis) const;
  // What may be added to n outputs: a float32 constant of n elements in the last dimension or of one, or,
  // where `integers`, an int32 one behind a DequantizeLinear.
  struct Bias {
    std::string value, scale;  // initializers; scale: of int32
    size_t dequantizer = kNoNode;
  };
  std::optional<Bias> BiasOf(const std::string& value, int64_t n, bool integers) const;

 private:
  const model::Graph& graph_;
  const std::map<std::string, model::ValueInfo>& values_;
  const std::set<std::string>& kept_;
  std::map<std::string, size_t> producers_;
  std::map<std::string, std::vector<size_t>> consumers_;
  std::vector<bool> taken_;
};

bool IsQuantizer(const model::Node& node);  // QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear
bool IsByte(DType dtype);

}  // namespace strop::engine
