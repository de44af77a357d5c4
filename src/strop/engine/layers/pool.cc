#include "strop/engine/layers/pool.h"

#include <algorithm>
#include <utility>

#include "strop/engine/layers/search.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

using model::Node;
using model::ValueInfo;

constexpr int64_t kMostPixelsOfBytes = 1 << 23;  // whose sum the kernel holds

// The search for one, from its node.
class Match {
 public:
  explicit Match(const Search& search) : search_(search) {}

  std::optional<PoolLayer> At(size_t index) {
    if (!TakeKind(index)) return std::nullopt;
    const Node& node = search_.node(index);
    // The places of the greatest are OpenVINO's to tell.
    if (node.Int("storage_order", 0) != 0 || (node.outputs.size() > 1 && !node.outputs[1].empty()))
      return std::nullopt;
    const ValueInfo* const input = search_.Value(node.inputs[0]);
    if (input == nullptr || input->shape.size() != 4 || search_.Constant(node.inputs[0]) != nullptr ||
        std::count(input->shape.begin(), input->shape.end(), 0) > 0)
      return std::nullopt;
    layer_.nodes = {index};
    layer_.pool = index;
    layer_.window = node;
    layer_.input = node.inputs[0];
    layer_.output = node.outputs[0];
    layer_.dtype = input->dtype;
    if (layer_.kind == PoolKind::kMax) TakeBytes();
    if (layer_.kind == PoolKind::kMeanOfAll) TakeIntegers(input->shape[2], input->shape[3]);
    const bool runs = layer_.dtype == DType::kF32 || (IsByte(layer_.dtype) && layer_.kind != PoolKind::kMean);
    std::sort(layer_.nodes.begin(), layer_.nodes.end());
    return runs ? std::optional(layer_) : std::nullopt;
  }

 private:
  bool TakeKind(size_t index) {
    if (search_.Is(index, "MaxPool")) {
      layer_.kind = PoolKind::kMax;
    } else if (search_.Is(index, "AveragePool")) {
      layer_.kind = PoolKind::kMean;
    } else {
      layer_.kind = PoolKind::kMeanOfAll;
      return search_.Is(index, "GlobalAveragePool");
    }
    return true;
  }

  void TakeInput(size_t dequantizer, const Quantization& integers) {
    layer_.nodes.push_back(dequantizer);
    layer_.input = search_.node(dequantizer).inputs[0];
    layer_.dtype = integers.dtype;
  }
  void Append(size_t node) {
    layer_.nodes.push_back(node);
    layer_.output = search_.node(node).outputs[0];
  }

  // The greatest of numbers is that of the bytes which stand for them, and goes back to the same byte.
  void TakeBytes() {
    const std::optional<Search::Between> around = search_.BytesAround(layer_.input, layer_.output);
    if (!around) return;
    TakeInput(around->dequantizer, around->bytes);
    Append(around->quantizer);
  }

  void TakeIntegers(int64_t height, int64_t width) {
    const size_t dequantizer = search_.Dequantizer(layer_.input);
    if (dequantizer == kNoNode || search_.Constant(search_.node(dequantizer).inputs[0]) != nullptr ||
        height < 0 || width < 0 || height * width > kMostPixelsOfBytes)
      return;
    layer_.input_integers = search_.Dequantization(dequantizer);
    if (!layer_.input_integers) return;
    TakeInput(dequantizer, *layer_.input_integers);
    const size_t quantizer = search_.Next(layer_.output, "QuantizeLinear");
    if (quantizer == kNoNode) return;
    layer_.output_integers = search_.QuantizationInto(quantizer);
    if (layer_.output_integers) Append(quantizer);
  }

  const Search& search_;
  PoolLayer layer_;
};

}  // namespace

std::vector<PoolLayer> FindPools(Search& search) { return search.TakeAll<Match>(); }

Layer AsLayer(PoolLayer pool) {
  Layer layer;
  layer.nodes = pool.nodes;
  layer.head = pool.pool;
  layer.orders = Orders::kAny;
  layer.inputs = {pool.input};
  layer.output = pool.output;
  layer.make = [pool = std::move(pool)](const LayerBuild& build) { return MakePoolStep(build, pool); };
  return layer;
}

}  // namespace strop::engine
