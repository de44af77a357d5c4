#include "strop/engine/layers/move.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "strop/engine/layers/permute.h"
#include "strop/engine/layers/search.h"
#include "strop/engine/step.h"
#include "strop/model/onnx_types.h"

namespace strop::engine {
namespace {

using model::Node;
using model::ValueInfo;

// The search for one, at its node.
class Match {
 public:
  explicit Match(const Search& search) : search_(search) {}

  std::optional<MoveLayer> At(size_t index) {
    const Node& node = search_.node(index);
    if (search_.IsTaken(index) || !node.domain.empty() || node.outputs.empty() || OthersAreRead(node))
      return std::nullopt;
    layer_.nodes = {index};
    layer_.node = index;
    layer_.output = node.outputs[0];
    layer_.alone.opsets = search_.graph().opsets;
    layer_.alone.nodes = {node};
    layer_.alone.nodes[0].outputs.resize(1);
    const std::optional<size_t> input = MovedInput(node);
    const ValueInfo* const answer = search_.Value(layer_.output);
    if (!input || answer == nullptr) return std::nullopt;
    layer_.input = node.inputs[*input];
    layer_.dtype = answer->dtype;
    const ValueInfo* const moved = search_.Value(layer_.input);
    if (moved == nullptr || search_.Constant(layer_.input) != nullptr ||
        std::count(moved->shape.begin(), moved->shape.end(), 0) > 0)
      return std::nullopt;
    layer_.alone.inputs = {*moved};
    if (!Fits(node, *moved)) return std::nullopt;
    TakeBytes();
    return std::move(layer_);
  }

 private:
  bool OthersAreRead(const Node& node) const {
    return std::any_of(node.outputs.begin() + 1, node.outputs.end(), [&](const std::string& value) {
      return !value.empty() && (search_.IsKept(value) || !search_.Consumers(value).empty());
    });
  }

  // A constant of the node, which it has alone too; true where it is not given.
  bool TakeConstant(const Node& node, size_t input) {
    if (node.inputs.size() <= input || node.inputs[input].empty()) return true;
    const Tensor* const constant = search_.Constant(node.inputs[input]);
    if (constant == nullptr) return false;
    layer_.alone.initializers[node.inputs[input]] = *constant;
    return true;
  }

  // Which of the node's inputs moves; nothing: none in a way that is known here.
  std::optional<size_t> MovedInput(const Node& node) {
    const int64_t opset = search_.graph().opset();
    const std::string& op = node.op;
    layer_.kind = MoveKind::kCopy;
    if (op == "Flatten" || op == "Identity") return 0;
    if (op == "Reshape")
      return node.inputs.size() == 2 && TakeConstant(node, 1) ? std::optional(0) : std::nullopt;
    if (op == "Squeeze" || op == "Unsqueeze") return TakeConstant(node, 1) ? std::optional(0) : std::nullopt;
    if (op == "Dropout" && opset >= 7) {  // before it an attribute trains
      layer_.alone.nodes[0].inputs.resize(1);
      return 0;
    }
    layer_.kind = MoveKind::kConvert;
    if (op == "Cast" && node.Int("to", 0) == model::OnnxType(DType::kF32)) return 0;
    layer_.kind = MoveKind::kTranspose;
    if (op == "Transpose") return 0;
    layer_.kind = MoveKind::kGather;
    if (op == "Gather" && node.inputs.size() == 2 && search_.Constant(node.inputs[0]) != nullptr &&
        TakeConstant(node, 0))
      return 1;
    return std::nullopt;
  }

  bool Fits(const Node& node, const ValueInfo& moved) const {
    const DType dtype = moved.dtype;
    switch (layer_.kind) {
      case MoveKind::kConvert:
        return dtype == DType::kI64 || dtype == DType::kI32 || dtype == DType::kBool;
      case MoveKind::kTranspose:
        return moved.has_shape && moved.shape.size() <= Permutation::kMostAxes;
      case MoveKind::kGather: {
        const Tensor& table = *search_.Constant(node.inputs[0]);
        const int64_t axis = node.Int("axis", 0);
        return table.size() > 0 && !table.shape().empty() &&
               (axis == 0 || axis == -static_cast<int64_t>(table.shape().size())) &&
               (dtype == DType::kI64 || dtype == DType::kI32);
      }
      default:
        return true;
    }
  }

  // Bytes move as the numbers do that they stand for.
  void TakeBytes() {
    if (layer_.kind != MoveKind::kCopy && layer_.kind != MoveKind::kTranspose) return;
    const std::optional<Search::Between> around = search_.BytesAround(layer_.input, layer_.output);
    if (!around) return;
    layer_.nodes = {around->dequantizer, layer_.node, around->quantizer};
    std::sort(layer_.nodes.begin(), layer_.nodes.end());
    layer_.input = search_.node(around->dequantizer).inputs[0];
    layer_.output = search_.node(around->quantizer).outputs[0];
    layer_.dtype = around->bytes.dtype;
    layer_.alone.inputs = {*search_.Value(layer_.input)};
    layer_.alone.nodes[0].inputs[0] = layer_.input;
    layer_.alone.nodes[0].outputs[0] = layer_.output;
  }

  const Search& search_;
  MoveLayer layer_;
};

Layer AsLayer(MoveLayer move) {
  Layer layer;
  layer.nodes = move.nodes;
  layer.head = move.node;
  layer.inputs = {move.input};
  layer.output = move.output;
  layer.make = [move = std::move(move)](const LayerBuild& build) { return MakeMoveStep(build, move); };
  return layer;
}

}  // namespace

std::vector<MoveLayer> FindMoveLayers(Search& search) { return search.TakeAll<Match>(); }

std::vector<Candidate> FindMoves(Search& search) {
  std::vector<Candidate> candidates;
  for (MoveLayer& layer : FindMoveLayers(search)) {
    // OpenVINO gives another shape to memory without moving it.
    const auto beside = layer.kind == MoveKind::kCopy ? Candidate::Beside::kAll : Candidate::Beside::kAny;
    candidates.push_back({AsLayer(std::move(layer)), beside});
  }
  return candidates;
}

}  // namespace strop::engine
