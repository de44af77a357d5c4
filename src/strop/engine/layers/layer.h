#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/engine/pool.h"
#include "strop/model/graph.h"

namespace strop::engine {

class Step;

// How a value of four dimensions, [N, C, H, W], lies in memory between two layers.
enum class Order { kPlain, kChannelsLast };

struct LayerBuild {
  const model::Graph& graph;
  Isa isa;                    // kernels of at most this
  ThreadPool& pool;           // outlives the step
  std::vector<Order> inputs;  // of the layer's values
  Order output = Order::kPlain;
  std::string_view family;  // one of the layer's; empty: the best by its shapes
};

// What orders of its values a layer's step takes.
enum class Orders {
  kPlain,  // kPlain alone
  kAny,    // each value by itself
  kSame    // one for all of its values
};

// Nodes that the own kernels run as one step. None but the last of them makes a value that is read outside.
struct STROP_API Layer {
  std::vector<size_t> nodes;        // of the graph, in order
  size_t head = 0;                  // the node that names the layer
  std::vector<std::string> inputs;  // values; not the initializers
  std::string output;
  Orders orders = Orders::kPlain;
  std::vector<std::string>
      families;  // of kernels that can run it, by which their names begin; empty: one alone
  std::function<std::unique_ptr<Step>(const LayerBuild&)> make;
};

// Every layer of the graph that own kernels run; no node is in two. `kept` are values that must come out, so
// that no fusing hides them. What is found depends on nothing but the arguments. A graph with control flow
// has none: nodes of its subgraphs read values without naming them as inputs, so that no cut is safe.
STROP_API std::vector<Layer> FindLayers(const model::Graph& graph,
                                        const std::map<std::string, model::ValueInfo>& values,
                                        const std::set<std::string>& kept);

// The order of every value that is not plain: those that only layers which take it make and read.
STROP_API std::map<std::string, Order> OrderValues(const model::Graph& graph,
                                                   const std::vector<Layer>& layers,
                                                   const std::map<std::string, model::ValueInfo>& values,
                                                   const std::set<std::string>& kept);

// A DequantizeLinear for each reader of its answer, so that every layer owns its own.
STROP_API void PartDequantizers(model::Graph& graph);

}  // namespace strop::engine
