#include "strop/engine/layers/dense.h"

#include <algorithm>
#include <utility>

#include "strop/engine/kernels/int8_gemm/int8_gemm.h"
#include "strop/engine/layers/search.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

using model::Node;
using model::ValueInfo;

// The search for one layer, from the node that multiplies.
class Match {
 public:
  explicit Match(const Search& search) : search_(search) {}

  std::optional<DenseLayer> At(size_t index) {
    if (!search_.Is(index, "Gemm") && !search_.Is(index, "MatMul")) return std::nullopt;
    const Node& node = search_.node(index);
    layer_.nodes = {index};
    layer_.product = index;
    layer_.input = node.inputs[0];
    layer_.weight = node.inputs[1];
    layer_.output = node.outputs[0];
    if (node.op == "Gemm") {
      if (node.Int("transA", 0) != 0) return std::nullopt;
      layer_.transposed = node.Int("transB", 0) != 0;
      layer_.weight_scale = node.Float("alpha", 1);
      layer_.bias_scale = node.Float("beta", 1);
    }
    TakeIntegers();
    if (!TakeOperands(node) || !TakeBias(node)) return std::nullopt;
    if (const size_t relu = Next("Relu"); relu != kNoNode) {
      layer_.relu = true;
      Append(relu);
    }
    TakeQuantizer();
    TakeChain();
    if (!layer_.integers && TouchesQuantizer()) return std::nullopt;
    std::sort(layer_.nodes.begin(), layer_.nodes.end());
    return layer_;
  }

 private:
  void Append(size_t node) {
    layer_.nodes.push_back(node);
    layer_.output = search_.node(node).outputs[0];
  }
  size_t Next(const char* op) const { return search_.Next(layer_.output, op); }

  // Steps over the DequantizeLinear of input and weights, where the layer has them.
  void TakeIntegers() {
    const size_t of_input = search_.Dequantizer(layer_.input);
    const size_t of_weight = search_.Dequantizer(layer_.weight);
    if (of_input == kNoNode || of_weight == kNoNode || of_input == of_weight) return;
    const Node& weight = search_.node(of_weight);
    if (!search_.IsWeights(of_weight, 2, layer_.transposed ? 0 : 1)) return;
    const auto quantization = search_.Dequantization(of_input);
    if (!quantization) return;
    layer_.integers = LayerIntegers{*quantization, weight.inputs[1], {}, {}};
    layer_.input = search_.node(of_input).inputs[0];
    layer_.weight = weight.inputs[0];
    layer_.nodes.insert(layer_.nodes.end(), {of_input, of_weight});
  }

  bool TakeOperands(const Node& node) {
    const Tensor* weight = search_.Constant(layer_.weight);
    const ValueInfo* input = search_.Value(layer_.input);
    if (weight == nullptr || weight->shape().size() != 2 || input == nullptr ||
        search_.Constant(layer_.input) != nullptr || input->shape.size() < 2)
      return false;
    if (node.op == "Gemm" && input->shape.size() != 2) return false;
    if (!layer_.integers && (weight->dtype() != DType::kF32 || input->dtype != DType::kF32)) return false;
    layer_.k = weight->shape()[layer_.transposed ? 1 : 0];
    layer_.n = weight->shape()[layer_.transposed ? 0 : 1];
    return layer_.k > 0 && layer_.n > 0 && (!layer_.integers || layer_.k <= kMostInt8Depth);
  }

  // A constant that may be added; an int32 one with its DequantizeLinear.
  bool TakeConstant(const std::string& value) {
    const std::optional<Search::Bias> bias = search_.BiasOf(value, layer_.n, layer_.integers.has_value());
    if (!bias) return false;
    layer_.bias = bias->value;
    if (bias->dequantizer == kNoNode) return true;
    layer_.integers->bias_scale = bias->scale;
    layer_.nodes.push_back(bias->dequantizer);
    return true;
  }

  // The third input of Gemm, or the Add that follows; false: Gemm adds what the kernels cannot.
  bool TakeBias(const Node& node) {
    if (node.op == "Gemm" && node.inputs.size() > 2 && !node.inputs[2].empty())
      return TakeConstant(node.inputs[2]);
    const size_t add = Next("Add");
    if (add == kNoNode) return true;
    const std::vector<std::string>& terms = search_.node(add).inputs;
    const std::string& other = terms[terms[0] == layer_.output ? 1 : 0];
    // A bias of more dimensions than the product would widen it.
    const Tensor* const constant = search_.Constant(other);
    if (constant != nullptr && constant->shape().size() > search_.Value(layer_.input)->shape.size())
      return true;
    if (!TakeConstant(other)) return true;
    layer_.bias_scale = 1;
    Append(add);
    return true;
  }

  // The kernels of integers answer integers themselves.
  void TakeQuantizer() {
    const size_t quantizer = layer_.integers ? Next("QuantizeLinear") : kNoNode;
    if (quantizer == kNoNode) return;
    layer_.integers->output = search_.QuantizationInto(quantizer);
    if (layer_.integers->output) Append(quantizer);
  }

  void TakeChain() {
    layer_.chain = FindChainFrom(search_, layer_.output);
    if (!layer_.chain) return;
    layer_.nodes.insert(layer_.nodes.end(), layer_.chain->nodes.begin(), layer_.chain->nodes.end());
    layer_.output = layer_.chain->output;
  }

  bool TouchesQuantizer() const {
    const size_t producer = search_.Producer(layer_.input);
    if (producer != kNoNode && search_.node(producer).op == "DequantizeLinear") return true;
    const std::vector<size_t>& readers = search_.Consumers(layer_.output);
    return std::any_of(readers.begin(), readers.end(),
                       [&](size_t reader) { return search_.node(reader).op == "QuantizeLinear"; });
  }

  const Search& search_;
  DenseLayer layer_;
};

}  // namespace

std::vector<DenseLayer> FindDense(Search& search) { return search.TakeAll<Match>(); }

Layer AsLayer(DenseLayer dense) {
  Layer layer;
  layer.nodes = dense.nodes;
  layer.head = dense.product;
  layer.inputs = {dense.input};
  for (size_t i = 1; dense.chain && i < dense.chain->inputs.size(); ++i)
    layer.inputs.push_back(dense.chain->inputs[i].value);
  layer.output = dense.output;
  layer.make = [dense = std::move(dense)](const LayerBuild& build) { return MakeDenseStep(build, dense); };
  return layer;
}

}  // namespace strop::engine
