#include "strop/engine/partition.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "strop/model/subgraph.h"

namespace strop::engine {

using model::Graph;
using model::Node;

std::vector<Region> Partition(const Graph& graph, const std::vector<Layer>& layers,
                              const std::set<size_t>& reference, const std::set<std::string>& kept) {
  std::vector<const Layer*> layer_of(graph.nodes.size(), nullptr);
  for (const Layer& layer : layers)
    for (const size_t node : layer.nodes) layer_of[node] = &layer;
  // The stage of a value is the number of single steps on the longest way to it. OpenVINO's nodes of one
  // stage have no single step between them, so they can run together, before the single steps that read only
  // stages up to theirs.
  std::map<std::string, size_t> stage;
  const auto stage_of = [&](const std::vector<std::string>& inputs) {
    size_t most = 0;
    for (const std::string& value : inputs) {
      if (const auto found = stage.find(value); found != stage.end()) most = std::max(most, found->second);
    }
    return most;
  };
  std::map<std::tuple<size_t, int, size_t>, Region>
      steps;  // (stage, single, first node), in the order of running
  for (size_t index = 0; index < graph.nodes.size(); ++index) {
    const Node& node = graph.nodes[index];
    if (const Layer* layer = layer_of[index]; layer != nullptr) {
      if (layer->nodes.back() != index) continue;
      const size_t at = stage_of(layer->inputs);
      stage[layer->output] = at + 1;
      steps[{at, 1, index}] = {Runner::kStrop, layer->nodes, {}, {}, layer};
    } else if (reference.contains(index)) {
      const size_t at = stage_of(model::UsedValues(node));
      for (const std::string& value : node.outputs) stage[value] = at + 1;
      steps[{at, 1, index}] = {Runner::kReference, {index}, {}, {}, nullptr};
    } else {
      const size_t at = stage_of(model::UsedValues(node));
      for (const std::string& value : node.outputs) stage[value] = at;
      steps[{at, 0, 0}].nodes.push_back(index);
    }
  }
  std::vector<Region> regions;
  std::map<std::string, size_t> made_in;
  for (auto& [key, region] : steps) {
    for (const size_t index : region.nodes) {
      for (const std::string& value : graph.nodes[index].outputs) made_in[value] = regions.size();
    }
    regions.push_back(std::move(region));
  }
  std::set<std::string> crossing(kept);
  for (size_t at = 0; at < regions.size(); ++at) {
    std::set<std::string> seen;
    for (const size_t index : regions[at].nodes) {
      for (const std::string& value : model::UsedValues(graph.nodes[index])) {
        if (graph.IsInitializer(value) || !seen.insert(value).second) continue;
        const auto found = made_in.find(value);
        if (found != made_in.end() && found->second == at) continue;
        regions[at].inputs.push_back(value);
        crossing.insert(value);
      }
    }
  }
  for (Region& region : regions) {
    for (const size_t index : region.nodes) {
      for (const std::string& value : graph.nodes[index].outputs) {
        if (crossing.contains(value)) region.outputs.push_back(value);
      }
    }
  }
  return regions;
}

}  // namespace strop::engine
