#include <algorithm>

#include <fmt/format.h>

#include "strop/engine/layers/attention.h"
#include "strop/engine/layers/chain.h"
#include "strop/engine/layers/conv.h"
#include "strop/engine/layers/dense.h"
#include "strop/engine/layers/layer.h"
#include "strop/engine/layers/move.h"
#include "strop/engine/layers/pool.h"
#include "strop/engine/layers/search.h"
#include "strop/engine/layers/separable.h"
#include "strop/model/subgraph.h"

namespace strop::engine {

using model::Graph;
using model::Node;
using model::ValueInfo;

namespace {

// Whether the value is read and made by layers that can take it in any order.
class Orderings {
 public:
  Orderings(const Graph& graph, const std::vector<Layer>& layers) : graph_(graph), layers_(layers) {
    for (const Layer& layer : layers)
      for (const size_t node : layer.nodes) inside_.insert(node);
  }

  // Whether one that no layer runs reads it.
  bool ReadOutside(const std::string& value) const {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const std::vector<std::string>& inputs = graph_.nodes[i].inputs;
      if (!inside_.contains(i) && std::find(inputs.begin(), inputs.end(), value) != inputs.end()) return true;
    }
    return false;
  }

  // Takes away what a layer cannot have, until nothing changes.
  void Settle(std::map<std::string, Order>& orders) const {
    for (bool changed = true; changed;) {
      changed = false;
      for (const Layer& layer : layers_) {
        std::vector<std::string> values = layer.inputs;
        values.push_back(layer.output);
        const bool all = std::all_of(values.begin(), values.end(),
                                     [&](const std::string& value) { return orders.contains(value); });
        if (layer.orders == Orders::kAny || (layer.orders == Orders::kSame && all)) continue;
        for (const std::string& value : values) changed = orders.erase(value) > 0 || changed;
      }
    }
  }

 private:
  const Graph& graph_;
  const std::vector<Layer>& layers_;
  std::set<size_t> inside_;
};

}  // namespace

std::map<std::string, Order> OrderValues(const Graph& graph, const std::vector<Layer>& layers,
                                         const std::map<std::string, ValueInfo>& values,
                                         const std::set<std::string>& kept) {
  const Orderings orderings(graph, layers);
  std::map<std::string, Order> orders;
  for (const Layer& layer : layers) {
    const auto info = values.find(layer.output);
    if (info != values.end() && info->second.shape.size() == 4 && !kept.contains(layer.output) &&
        !orderings.ReadOutside(layer.output))
      orders[layer.output] = Order::kChannelsLast;
  }
  orderings.Settle(orders);
  return orders;
}

std::vector<Layer> FindLayers(const Graph& graph, const std::map<std::string, ValueInfo>& values,
                              const std::set<std::string>& kept) {
  std::vector<Layer> layers;
  if (std::any_of(graph.nodes.begin(), graph.nodes.end(), model::HasSubgraph)) return layers;
  Search search(graph, values, kept);
  for (AttentionLayer& attention : FindAttention(search)) layers.push_back(AsLayer(std::move(attention)));
  for (DenseLayer& dense : FindDense(search)) layers.push_back(AsLayer(std::move(dense)));
  std::vector<ConvLayer> convs = FindConv(search);
  for (SeparableLayer& separable : JoinSeparable(search, convs))
    layers.push_back(AsLayer(std::move(separable)));
  for (ConvLayer& conv : convs) layers.push_back(AsLayer(std::move(conv)));
  for (PoolLayer& pool : FindPools(search)) layers.push_back(AsLayer(std::move(pool)));
  // Before the chains, which would take the quantizers around what moves.
  std::vector<Candidate> candidates = FindMoves(search);
  for (Candidate& chain : FindChains(search)) candidates.push_back(std::move(chain));
  TakeBeside(search, std::move(candidates), layers);
  std::sort(layers.begin(), layers.end(),
            [](const Layer& a, const Layer& b) { return a.nodes.back() < b.nodes.back(); });
  return layers;
}

void PartDequantizers(Graph& graph) {
  std::map<std::string, std::vector<size_t>> readers;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    for (const std::string& value : graph.nodes[i].inputs) readers[value].push_back(i);
  std::vector<Node> nodes;
  for (size_t index = 0; index < graph.nodes.size(); ++index) {
    nodes.push_back(graph.nodes[index]);
    const Node first = nodes.back();
    if (first.op != "DequantizeLinear" || !first.domain.empty()) continue;
    const std::vector<size_t>& own = readers[first.outputs[0]];
    for (size_t i = 1; i < own.size(); ++i) {
      Node copy = first;
      copy.name = fmt::format("{}/{}", first.name, i);
      copy.outputs[0] = fmt::format("{}/{}", first.outputs[0], i);
      std::vector<std::string>& inputs = graph.nodes[own[i]].inputs;
      *std::find(inputs.begin(), inputs.end(), first.outputs[0]) = copy.outputs[0];
      nodes.push_back(std::move(copy));
    }
  }
  graph.nodes = std::move(nodes);
}

}  // namespace strop::engine
