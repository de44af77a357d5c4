#include "strop/engine/layers/conv.h"

#include <algorithm>
#include <utility>

#include "strop/engine/kernels/int8_gemm/int8_gemm.h"
#include "strop/engine/layers/pixels.h"
#include "strop/engine/layers/search.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

using model::Node;
using model::ValueInfo;

// The search for one, from its Conv.
class Match {
 public:
  explicit Match(const Search& search) : search_(search) {}

  std::optional<ConvLayer> At(size_t index) {
    if (!search_.Is(index, "Conv")) return std::nullopt;
    const Node& node = search_.node(index);
    layer_.nodes = {index};
    layer_.conv = index;
    layer_.window = node;
    layer_.input = node.inputs[0];
    layer_.weight = node.inputs[1];
    layer_.output = node.outputs[0];
    TakeIntegers();
    if (!TakeOperands(node)) return std::nullopt;
    TakeClamp();
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

  void TakeIntegers() {
    const size_t of_input = search_.Dequantizer(layer_.input), of_weight = search_.Dequantizer(layer_.weight);
    if (of_input == kNoNode || of_weight == kNoNode || of_input == of_weight) return;
    const Node& weight = search_.node(of_weight);
    if (!search_.IsWeights(of_weight, 4, 0)) return;
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
    if (weight == nullptr || weight->shape().size() != 4 || input == nullptr || input->shape.size() != 4 ||
        search_.Constant(layer_.input) != nullptr)
      return false;
    if (!layer_.integers && (weight->dtype() != DType::kF32 || input->dtype != DType::kF32)) return false;
    layer_.n = weight->shape()[0];
    layer_.channels = input->shape[1];
    layer_.height = input->shape[2];
    layer_.width = input->shape[3];
    layer_.kernel_h = weight->shape()[2];
    layer_.kernel_w = weight->shape()[3];
    const int64_t group = node.Int("group", 1),
                  depth = weight->shape()[1] * layer_.kernel_h * layer_.kernel_w;
    layer_.depthwise = group > 1 && group == layer_.channels && group == layer_.n && weight->shape()[1] == 1;
    if (weight->size() == 0 || layer_.channels <= 0 || (group != 1 && !layer_.depthwise) ||
        (group == 1 && weight->shape()[1] != layer_.channels) || depth > kMostInt8Depth)
      return false;
    if (node.inputs.size() < 3 || node.inputs[2].empty()) return true;
    const std::optional<Search::Bias> bias =
        search_.BiasOf(node.inputs[2], layer_.n, layer_.integers.has_value());
    if (!bias) return false;
    layer_.bias = bias->value;
    if (bias->dequantizer == kNoNode) return true;
    layer_.integers->bias_scale = bias->scale;
    layer_.nodes.push_back(bias->dequantizer);
    return true;
  }

  void TakeClamp() {
    const size_t next = search_.OnlyConsumer(layer_.output);
    if (next == kNoNode) return;
    const std::optional<Clamp> clamp = search_.ClampOf(next);
    if (!clamp) return;
    layer_.clamp = *clamp;
    Append(next);
  }

  // The kernels of integers answer integers themselves.
  void TakeQuantizer() {
    const size_t quantizer = layer_.integers ? search_.Next(layer_.output, "QuantizeLinear") : kNoNode;
    if (quantizer == kNoNode) return;
    layer_.integers->output = search_.QuantizationInto(quantizer);
    if (layer_.integers->output) Append(quantizer);
  }

  // Elementwise: the rows of an image in memory are not those of its shape.
  void TakeChain() {
    std::optional<Chain> chain = FindChainFrom(search_, layer_.output);
    if (!chain || chain->of_rows() || chain->inputs.size() > PixelEnd::kMostInputs) return;
    layer_.nodes.insert(layer_.nodes.end(), chain->nodes.begin(), chain->nodes.end());
    layer_.output = chain->output;
    layer_.chain = std::move(chain);
  }

  bool TouchesQuantizer() const {
    const size_t producer = search_.Producer(layer_.input);
    return producer != kNoNode && search_.node(producer).op == "DequantizeLinear";
  }

  const Search& search_;
  ConvLayer layer_;
};

}  // namespace

std::vector<ConvLayer> FindConv(Search& search) { return search.TakeAll<Match>(); }

bool IsWinograd(const ConvLayer& layer) {
  const auto ones = [&](const char* attribute) {
    const std::vector<int64_t> sizes = layer.window.Ints(attribute);
    return std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size == 1; });
  };
  return !layer.integers && !layer.depthwise && layer.kernel_h == 3 && layer.kernel_w == 3 &&
         ones("strides") && ones("dilations");
}

Layer AsLayer(ConvLayer conv) {
  Layer layer;
  layer.nodes = conv.nodes;
  layer.head = conv.conv;
  layer.orders = Orders::kAny;
  if (IsWinograd(conv)) layer.families = {"gemm_f32", "winograd_f32_2x2", "winograd_f32_4x4"};
  layer.inputs = {conv.input};
  for (size_t i = 1; conv.chain && i < conv.chain->inputs.size(); ++i)
    layer.inputs.push_back(conv.chain->inputs[i].value);
  layer.output = conv.output;
  layer.make = [conv = std::move(conv)](const LayerBuild& build) { return MakeConvStep(build, conv); };
  return layer;
}

}  // namespace strop::engine
