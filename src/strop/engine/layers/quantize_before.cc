#include "strop/engine/layers/quantize_before.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "strop/engine/layers/search.h"

namespace strop::engine {
namespace {

using model::Graph;
using model::Node;

constexpr std::array<std::string_view, 5> kMoves = {"Reshape", "Transpose", "Flatten", "Squeeze",
                                                    "Unsqueeze"};

bool Is(const Node& node, std::string_view op) { return node.domain.empty() && node.op == op; }

bool Moves(const Node& node) {
  return std::any_of(kMoves.begin(), kMoves.end(), [&](std::string_view op) { return Is(node, op); });
}

// Whether it makes bytes by one positive scale for all.
bool IntoBytes(const Graph& graph, const Node& node) {
  if (!Is(node, "QuantizeLinear") || node.Int("block_size", 0) != 0) return false;
  const auto scale = graph.initializers.find(node.inputs[1]);
  if (scale == graph.initializers.end() || scale->second.dtype() != DType::kF32 ||
      scale->second.size() != 1 || !(scale->second.As<float>()[0] > 0))
    return false;
  if (node.inputs.size() < 3 || node.inputs[2].empty()) return node.Int("output_dtype", 0) == 0;
  const auto zero = graph.initializers.find(node.inputs[2]);
  return zero != graph.initializers.end() && IsByte(zero->second.dtype());
}

// Who reads each value, by the nodes' numbers.
class Readers {
 public:
  Readers(const Graph& graph, const std::set<std::string>& kept) : graph_(graph), kept_(kept) {
    for (size_t at = 0; at < graph.nodes.size(); ++at) {
      for (const std::string& value : graph.nodes[at].inputs) readers_[value].push_back(at);
      for (const std::string& value : graph.nodes[at].outputs) makers_[value] = at;
    }
  }
  // The node that makes it; kNoNode: an input or a constant.
  size_t Maker(const std::string& value) const {
    const auto maker = makers_.find(value);
    return maker == makers_.end() ? kNoNode : maker->second;
  }
  // The one node that reads it; kNoNode: several, or it is kept.
  size_t Reader(const std::string& value) const {
    const auto readers = readers_.find(value);
    return readers == readers_.end() || readers->second.size() != 1 || kept_.contains(value)
               ? kNoNode
               : readers->second[0];
  }
  // Whether they are numbers of a layer or an input, not of bytes already.
  bool AreNumbers(const std::string& value) const {
    const size_t maker = Maker(value);
    return !graph_.IsInitializer(value) && (maker == kNoNode || !Is(graph_.nodes[maker], "DequantizeLinear"));
  }
  // Whether a product reads what the quantizer makes, and nothing else does.
  bool FeedsProduct(size_t quantizer) const {
    const size_t back = Reader(graph_.nodes[quantizer].outputs[0]);
    if (back == kNoNode || !Is(graph_.nodes[back], "DequantizeLinear")) return false;
    const size_t product = Reader(graph_.nodes[back].outputs[0]);
    return product != kNoNode && (Is(graph_.nodes[product], "MatMul") || Is(graph_.nodes[product], "Gemm"));
  }

 private:
  const Graph& graph_;
  const std::set<std::string>& kept_;
  std::map<std::string, std::vector<size_t>> readers_;
  std::map<std::string, size_t> makers_;
};

void BeforeMaxPools(Graph& graph, const std::set<std::string>& kept) {
  const Readers readers(graph, kept);
  std::vector<Node> nodes;
  for (const Node& node : graph.nodes) {
    nodes.push_back(node);
    if (!Is(node, "MaxPool") || (node.outputs.size() > 1 && !node.outputs[1].empty())) continue;
    const size_t reader = readers.Reader(node.outputs[0]);
    if (readers.Reader(node.inputs[0]) == kNoNode || !readers.AreNumbers(node.inputs[0]) ||
        reader == kNoNode || !IntoBytes(graph, graph.nodes[reader]))
      continue;
    Node quantizer = graph.nodes[reader], dequantizer;
    quantizer.name = node.name + "/QuantizeLinear";
    quantizer.inputs[0] = node.inputs[0];
    quantizer.outputs = {graph.FreshName(node.outputs[0] + "/quantized")};
    dequantizer.op = "DequantizeLinear";
    dequantizer.name = node.name + "/DequantizeLinear";
    dequantizer.inputs = quantizer.inputs;
    dequantizer.inputs[0] = quantizer.outputs[0];
    dequantizer.outputs = {graph.FreshName(node.outputs[0] + "/dequantized")};
    nodes.back().inputs[0] = dequantizer.outputs[0];
    nodes.insert(nodes.end() - 1, {std::move(quantizer), std::move(dequantizer)});
  }
  graph.nodes = std::move(nodes);
}

void BeforeMoves(Graph& graph, const std::set<std::string>& kept) {
  const Readers readers(graph, kept);
  std::vector<std::pair<size_t, size_t>> turns;  // a quantizer, and the first of the moves before it
  for (size_t at = 0; at < graph.nodes.size(); ++at) {
    if (!IntoBytes(graph, graph.nodes[at]) || !readers.FeedsProduct(at)) continue;
    size_t first = at;
    for (;;) {
      const std::string& value = graph.nodes[first].inputs[0];
      const size_t move = readers.Maker(value);
      if (move == kNoNode || readers.Reader(value) == kNoNode || !Moves(graph.nodes[move]) ||
          !readers.AreNumbers(graph.nodes[move].inputs[0]))
        break;
      first = move;
    }
    if (first != at) turns.emplace_back(at, first);
  }
  std::map<size_t, Node> before;  // what comes before a node
  std::set<size_t> gone;
  for (const auto& [at, first] : turns) {
    Node quantizer = graph.nodes[at];
    std::string& answer = graph.nodes[readers.Maker(quantizer.inputs[0])].outputs[0];
    answer = quantizer.outputs[0];
    quantizer.inputs[0] = graph.nodes[first].inputs[0];
    quantizer.outputs[0] = graph.FreshName(answer + "/before");
    graph.nodes[first].inputs[0] = quantizer.outputs[0];
    before[first] = std::move(quantizer);
    gone.insert(at);
  }
  std::vector<Node> nodes;
  for (size_t at = 0; at < graph.nodes.size(); ++at) {
    if (const auto found = before.find(at); found != before.end()) nodes.push_back(std::move(found->second));
    if (!gone.contains(at)) nodes.push_back(std::move(graph.nodes[at]));
  }
  graph.nodes = std::move(nodes);
}

}  // namespace

void QuantizeBefore(Graph& graph, const std::set<std::string>& kept) {
  BeforeMoves(graph, kept);  // which may come behind a MaxPool
  BeforeMaxPools(graph, kept);
}

}  // namespace strop::engine
