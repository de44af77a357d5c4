#include "strop/engine/layers/attention.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "strop/engine/layers/search.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

using model::Node;
using model::SameSize;
using model::ValueInfo;
using Permutation = std::vector<int64_t>;

const Permutation kHeadsFirst = {0, 2, 1, 3}, kDepthFirst = {0, 2, 3, 1}, kLastTwo = {0, 1, 3, 2};

// The search for one, from its Softmax.
class Match {
 public:
  explicit Match(const Search& search) : search_(search) {}

  std::optional<AttentionLayer> At(size_t index) {
    if (!search_.Is(index, "Softmax")) return std::nullopt;
    const ValueInfo* shares = search_.Value(search_.node(index).outputs[0]);
    if (shares == nullptr || shares->shape.size() != 4 || shares->dtype != DType::kF32) return std::nullopt;
    const int64_t axis = search_.node(index).Int("axis", search_.graph().opset() < 13 ? 1 : -1);
    if (axis != -1 && axis != 3) return std::nullopt;
    layer_.softmax = index;
    layer_.nodes = {index};
    if (!TakeScores(search_.node(index).inputs[0]) || !TakeMix(search_.node(index).outputs[0]))
      return std::nullopt;
    if (!OperandsFit() || !MaskFits()) return std::nullopt;
    std::sort(layer_.nodes.begin(), layer_.nodes.end());
    return layer_;
  }

 private:
  // The free node of that operator that makes the value for one reader.
  const Node* Made(const std::string& value, const char* op) {
    const size_t node = search_.Producer(value);
    if (!search_.Is(node, op) || search_.OnlyConsumer(value) == kNoNode) return nullptr;
    layer_.nodes.push_back(node);
    return &search_.node(node);
  }
  const Node* Read(const std::string& value, const char* op) {
    const size_t node = search_.Next(value, op);
    if (node == kNoNode) return nullptr;
    layer_.nodes.push_back(node);
    return &search_.node(node);
  }

  // Back over Add, Div or Mul, and the product of query and key.
  bool TakeScores(std::string value) {
    if (const Node* add = Made(value, "Add")) {
      const bool first = search_.Is(search_.Producer(add->inputs[0]), "MatMul") || Scales(add->inputs[0]);
      layer_.mask = add->inputs[first ? 1 : 0];
      value = add->inputs[first ? 0 : 1];
    }
    if (Scales(value)) TakeScale(value);
    const Node* product = Made(value, "MatMul");
    return product != nullptr && TakeFactor(product->inputs[0], kHeadsFirst, layer_.query) &&
           TakeFactor(product->inputs[1], kDepthFirst, layer_.key);
  }

  // The constant by whose product the node makes its answer; that of a division, if it has a reciprocal.
  std::optional<float> ScaleOf(size_t node) const {
    if (search_.Is(node, "Mul")) return search_.Scalar(search_.node(node).inputs[1]);
    if (!search_.Is(node, "Div")) return std::nullopt;
    const std::optional<float> divisor = search_.Scalar(search_.node(node).inputs[1]);
    return divisor && std::isnormal(1 / *divisor) ? std::optional(1 / *divisor) : std::nullopt;
  }
  bool Scales(const std::string& value) const { return ScaleOf(search_.Producer(value)).has_value(); }
  void TakeScale(std::string& value) {
    const size_t node = search_.Producer(value);
    if (Made(value, search_.node(node).op.c_str()) == nullptr) return;
    layer_.scale *= *ScaleOf(node);
    value = search_.node(node).inputs[0];
  }

  // Steps back over a DequantizeLinear.
  bool TakeBytes(std::string& value, std::optional<Quantization>& bytes) {
    const size_t back = search_.Dequantizer(value);
    if (back == kNoNode) return true;
    bytes = search_.Dequantization(back);
    layer_.nodes.push_back(back);
    value = search_.node(back).inputs[0];
    return bytes.has_value() && search_.Constant(value) == nullptr;
  }

  // Of the scores, which may be scaled by its own part.
  bool TakeFactor(std::string value, const Permutation& wanted, AttentionOperand& operand) {
    if (Scales(value)) TakeScale(value);
    return TakeOperand(value, wanted, operand, layer_.depth);
  }

  bool TakeOperand(std::string value, const Permutation& wanted, AttentionOperand& operand, int64_t& depth) {
    if (!TakeBytes(value, operand.bytes)) return false;
    const Node* transpose = Made(value, "Transpose");
    if (transpose == nullptr) return false;
    Permutation permutation = transpose->Ints("perm");
    if (permutation == kLastTwo && wanted == kDepthFirst) {
      transpose = Made(transpose->inputs[0], "Transpose");
      if (transpose == nullptr || transpose->Ints("perm") != kHeadsFirst) return false;
      permutation = kDepthFirst;
    }
    const Node* reshape = Made(transpose->inputs[0], "Reshape");
    if (permutation != wanted || reshape == nullptr) return false;
    operand.value = reshape->inputs[0];
    const ValueInfo* flat = search_.Value(operand.value);
    const ValueInfo* heads = search_.Value(reshape->outputs[0]);
    const DType dtype = operand.bytes ? operand.bytes->dtype : DType::kF32;
    return Folds(flat, heads) && flat->dtype == dtype && Agree(layer_.heads, heads->shape[2]) &&
           Agree(depth, heads->shape[3]);
  }

  // Whether [b, s, h · d] becomes [b, s, h, d], with h and d known.
  static bool Folds(const ValueInfo* flat, const ValueInfo* heads) {
    return flat != nullptr && heads != nullptr && flat->shape.size() == 3 && heads->shape.size() == 4 &&
           SameSize(*flat, 0, *heads, 0) && SameSize(*flat, 1, *heads, 1) && heads->shape[2] > 0 &&
           heads->shape[3] > 0 && flat->shape[2] == heads->shape[2] * heads->shape[3];
  }
  static bool Agree(int64_t& known, int64_t size) {
    if (known == 0) known = size;
    return known == size;
  }

  bool TakeMix(std::string value) {
    if (search_.Next(value, "QuantizeLinear") != kNoNode && !TakeShares(value)) return false;
    const Node* product = Read(value, "MatMul");
    if (product == nullptr || product->inputs[0] != value ||
        !TakeOperand(product->inputs[1], kHeadsFirst, layer_.value, layer_.value_depth))
      return false;
    value = product->outputs[0];
    if (search_.Next(value, "QuantizeLinear") != kNoNode && !TakeAnswer(value)) return false;
    const Node* transpose = Read(value, "Transpose");
    if (transpose == nullptr || transpose->Ints("perm") != kHeadsFirst) return false;
    const Node* reshape = Read(transpose->outputs[0], "Reshape");
    if (reshape == nullptr) return false;
    layer_.output = reshape->outputs[0];
    return Folds(search_.Value(layer_.output), search_.Value(transpose->outputs[0]));
  }

  // Forward over a QuantizeLinear and DequantizeLinear alike.
  bool TakeShares(std::string& value) {
    const Node* there = Read(value, "QuantizeLinear");
    const Node* back = Read(there->outputs[0], "DequantizeLinear");
    if (back == nullptr) return false;
    layer_.shares = search_.QuantizationInto(search_.Producer(there->outputs[0]));
    value = back->outputs[0];
    if (!layer_.shares || layer_.shares->scale < 1e-30f || layer_.shares->scale > 1e30f) return false;
    return layer_.shares == search_.Dequantization(search_.Producer(value));
  }

  // Forward over a QuantizeLinear.
  bool TakeAnswer(std::string& value) {
    const Node* there = Read(value, "QuantizeLinear");
    value = there->outputs[0];
    layer_.bytes = search_.QuantizationInto(search_.Producer(value));
    return layer_.bytes.has_value();
  }

  // Whether nothing is broadcast: a batch of queries, keys and values, and as many keys as values.
  bool OperandsFit() {
    const ValueInfo &query = *search_.Value(layer_.query.value), &key = *search_.Value(layer_.key.value),
                    &value = *search_.Value(layer_.value.value);
    layer_.keys = key.shape[1];
    return layer_.keys != 0 && SameSize(query, 0, key, 0) && SameSize(key, 0, value, 0) &&
           SameSize(key, 1, value, 1);
  }

  // Whether the mask has one row of places for all heads: [1 or batch, 1, 1 or queries, keys].
  bool MaskFits() const {
    if (layer_.mask.empty()) return true;
    const ValueInfo* mask = search_.Value(layer_.mask);
    if (mask == nullptr || mask->dtype != DType::kF32 || mask->shape.size() != 4 || mask->shape[1] != 1 ||
        search_.Constant(layer_.mask) != nullptr)
      return false;
    const ValueInfo &query = *search_.Value(layer_.query.value), &key = *search_.Value(layer_.key.value);
    return SameSize(*mask, 3, key, 1) && (mask->shape[2] == 1 || SameSize(*mask, 2, query, 1)) &&
           (mask->shape[0] == 1 || SameSize(*mask, 0, query, 0));
  }

  const Search& search_;
  AttentionLayer layer_;
};

}  // namespace

std::vector<AttentionLayer> FindAttention(Search& search) { return search.TakeAll<Match>(); }

Layer AsLayer(AttentionLayer attention) {
  Layer layer;
  layer.nodes = attention.nodes;
  layer.head = attention.softmax;
  layer.inputs = {attention.query.value, attention.key.value, attention.value.value};
  if (!attention.mask.empty()) layer.inputs.push_back(attention.mask);
  layer.output = attention.output;
  layer.make = [attention = std::move(attention)](const LayerBuild& build) {
    return MakeAttentionStep(build, attention);
  };
  return layer;
}

}  // namespace strop::engine
