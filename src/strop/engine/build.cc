#include "strop/engine/build.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/layers/layer.h"
#include "strop/engine/layers/quantize_before.h"
#include "strop/engine/openvino_limits.h"
#include "strop/engine/partition.h"
#include "strop/model/passes.h"
#include "strop/model/reference/evaluator.h"
#include "strop/model/subgraph.h"
#include "strop/model/trees.h"

namespace strop::engine {
namespace {

using model::Graph;
using model::Node;
using model::ValueInfo;
using Values = std::map<std::string, ValueInfo>;

// The region as a model. The whole graph is taken as it is, so that it needs no type of any value inside.
Graph PartOf(const BuildRequest& request, const Region& region) {
  const Graph& graph = request.graph;
  if (region.nodes.size() != graph.nodes.size()) {
    return model::Extract(graph, region.inputs, region.outputs, request.values);
  }
  Graph whole = graph;
  std::erase_if(whole.outputs, [&](const ValueInfo& value) {
    return std::find(region.outputs.begin(), region.outputs.end(), value.name) == region.outputs.end();
  });
  for (const std::string& name : region.outputs) {
    const auto same = [&](const ValueInfo& value) { return value.name == name; };
    if (std::any_of(whole.outputs.begin(), whole.outputs.end(), same)) continue;
    const auto found = request.values.find(name);
    if (found == request.values.end()) {
      throw Error(
          Code::kUnsupported,
          fmt::format("value {} cannot be tapped: its type does not follow from the model's inputs", name));
    }
    whole.outputs.push_back(found->second);
  }
  return whole;
}

// The node alone, to ask OpenVINO about it.
Graph Alone(const Graph& graph, const Node& node, const Values& values) {
  Graph alone;
  alone.name = node.name;
  alone.ir_version = graph.ir_version;
  alone.opsets = graph.opsets;
  alone.nodes = {node};
  std::set<std::string> seen;
  for (const std::string& value : model::UsedValues(node)) {
    if (!seen.insert(value).second) continue;
    if (const auto constant = graph.initializers.find(value); constant != graph.initializers.end()) {
      alone.initializers.insert(*constant);
    } else if (const auto known = values.find(value); known != values.end()) {
      alone.inputs.push_back(known->second);
    } else {
      alone.inputs.push_back({value, DType::kF32, {}, {}, false});
    }
  }
  for (const std::string& value : node.outputs) {
    if (value.empty()) continue;
    const auto known = values.find(value);
    alone.outputs.push_back(known != values.end() ? known->second
                                                  : ValueInfo{value, DType::kF32, {}, {}, false});
  }
  return alone;
}

[[noreturn]] void Refuse(const Node& node, const std::string& why) {
  throw Error(Code::kUnsupported,
              fmt::format("operator {}{}{} of node {} is not supported: export the model with standard ONNX "
                          "operators in its place ({})",
                          node.domain, node.domain.empty() ? "" : "::", node.op, node.name, why));
}

// The region's nodes that the reference evaluator must run, because OpenVINO refused the region for `reason`.
std::set<size_t> Refused(const BuildRequest& request, const Region& region, const std::string& reason) {
  const Graph& graph = request.graph;
  std::set<size_t> refused;
  for (const size_t index : region.nodes) {
    const Node& node = graph.nodes[index];
    const std::vector<std::string> used = model::UsedValues(node);
    const bool typed = std::all_of(used.begin(), used.end(), [&](const std::string& value) {
      return graph.IsInitializer(value) || request.values.contains(value);
    });
    if (!typed) continue;  // it follows a node that is itself refused
    try {
      OpenVinoModel::Compile(Alone(graph, node, request.values), request.openvino);
    } catch (const Error& error) {
      if (!model::reference::Supports(node, graph.opset())) Refuse(node, error.what());
      refused.insert(index);
    }
  }
  if (!refused.empty()) return refused;
  // Each node alone compiles, together they do not.
  for (const size_t index : region.nodes) {
    const Node& node = graph.nodes[index];
    if (!model::reference::Supports(node, graph.opset())) {
      throw Error(Code::kUnsupported, fmt::format("the nodes {} … {} are not supported together ({})",
                                                  graph.nodes[region.nodes.front()].name,
                                                  graph.nodes[region.nodes.back()].name, reason));
    }
    refused.insert(index);
  }
  return refused;
}

Isa IsaOf(const BuildRequest& request, const Layer& layer) {
  const Isa highest = HighestIsa(Cpu());
  if (request.plan == nullptr) return highest;
  const std::optional<Isa> chosen = request.plan->IsaOf(request.graph.nodes[layer.head].name);
  return std::min(chosen.value_or(highest), highest);
}

std::unique_ptr<Step> MakeLayerStep(const BuildRequest& request, const Layer& layer,
                                    const std::map<std::string, Order>& orders) {
  const auto order_of = [&](const std::string& value) {
    const auto found = orders.find(value);
    return found == orders.end() ? Order::kPlain : found->second;
  };
  LayerBuild build{request.graph, IsaOf(request, layer), request.pool, {}, order_of(layer.output), {}};
  if (request.plan != nullptr)
    build.family = request.plan->FamilyOf(request.graph.nodes[layer.head].name, layer.families);
  for (const std::string& value : layer.inputs) build.inputs.push_back(order_of(value));
  return layer.make(build);
}

// A node that OpenVINO does not run.
std::unique_ptr<Step> MakeNodeStep(const BuildRequest& request, const Region& region) {
  Graph part = PartOf(request, region);
  if (model::IsTreeEnsemble(part.nodes[0]))
    if (std::unique_ptr<Step> step = MakeTreeStep(part, HighestIsa(Cpu()), request.pool)) return step;
  return MakeReferenceStep(std::move(part));
}

// Of a domain that OpenVINO does not know, or that it answers otherwise than the specification.
std::set<size_t> OwnNodes(const BuildRequest& request) {
  const Graph& graph = request.graph;
  std::set<size_t> own;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    if (graph.nodes[i].domain == "ai.onnx.ml" && model::reference::Supports(graph.nodes[i], 0)) own.insert(i);
  for (const auto& [index, why] : BeyondOpenVino(graph, request.values)) {
    if (!model::reference::Supports(graph.nodes[index], graph.opset())) Refuse(graph.nodes[index], why);
    own.insert(index);
  }
  return own;
}

// OpenVINO divides by sizes of zero. Empty parameters (the roi of a Resize) are common and harmless.
std::set<size_t> EmptyNodes(const Graph& graph, const Values& values) {
  const auto empty = [&](const std::string& value) {
    const auto found = values.find(value);
    return found != values.end() && found->second.has_shape && ElementCount(found->second.shape) == 0;
  };
  std::set<size_t> nodes;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const bool reads = !node.inputs.empty() && empty(node.inputs[0]);
    const bool makes = std::any_of(node.outputs.begin(), node.outputs.end(), empty);
    if (!reads && !makes && !model::NeverLoops(graph, node)) continue;
    const int64_t opset = node.domain.empty() ? graph.opset() : 0;
    if (!model::reference::Supports(node, opset)) {
      throw Error(Code::kUnsupported,
                  fmt::format("node {} ({}): empty tensors are not supported", node.name, node.op));
    }
    nodes.insert(i);
  }
  return nodes;
}

void CheckOpset(const Graph& graph) {
  if (graph.opset() <= kNewestOpset) return;
  throw Error(Code::kUnsupported,
              fmt::format("opset {} of ai.onnx is newer than {}, the newest supported: operators may mean "
                          "something else in it",
                          graph.opset(), kNewestOpset));
}

bool BordersTyped(const std::vector<Region>& regions, const Values& values) {
  return std::all_of(regions.begin(), regions.end(), [&](const Region& region) {
    const auto known = [&](const std::string& value) { return values.contains(value); };
    return std::all_of(region.inputs.begin(), region.inputs.end(), known) &&
           std::all_of(region.outputs.begin(), region.outputs.end(), known);
  });
}

// No part of the engine trains. A switch that is computed counts as on.
void CheckTraining(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (node.op != "Dropout" || !node.domain.empty() || node.inputs.size() < 3 || node.inputs[2].empty())
      continue;
    const auto known = graph.initializers.find(node.inputs[2]);
    const bool off = known != graph.initializers.end() && known->second.dtype() == DType::kBool &&
                     known->second.size() == 1 && !known->second.As<bool>()[0];
    if (!off) Refuse(node, "training mode");
  }
}

void Rename(Graph& graph, const std::string& from, const std::string& to) {
  for (Node& node : graph.nodes) {
    std::replace(node.inputs.begin(), node.inputs.end(), from, to);
    std::replace(node.outputs.begin(), node.outputs.end(), from, to);
  }
}

// What it reads and what it makes become one value, under the name that must stay.
void TakeOutIdentity(Graph& graph, const std::set<std::string>& kept) {
  for (size_t at = 0; at < graph.nodes.size();) {
    const Node& node = graph.nodes[at];
    const bool identity = node.op == "Identity" && node.domain.empty();
    const std::string from = node.inputs.empty() ? "" : node.inputs[0], to = node.outputs[0];
    const bool free = identity && graph.Producer(from) != nullptr && !kept.contains(from);
    if (!free && (!identity || kept.contains(to))) {
      ++at;
      continue;
    }
    graph.nodes.erase(graph.nodes.begin() + static_cast<ptrdiff_t>(at));
    if (free) {
      Rename(graph, from, to);
    } else {
      Rename(graph, to, from);
    }
  }
}

// The whole graph as one step of the reference evaluator.
std::vector<std::unique_ptr<Step>> ReferenceSteps(const BuildRequest& request) {
  const Graph& graph = request.graph;
  Region whole;
  whole.nodes.resize(graph.nodes.size());
  std::iota(whole.nodes.begin(), whole.nodes.end(), size_t{0});
  for (const Node& node : graph.nodes) {
    for (const std::string& value : node.outputs) {
      if (request.kept.contains(value)) whole.outputs.push_back(value);
    }
  }
  std::vector<std::unique_ptr<Step>> steps;
  steps.push_back(MakeReferenceStep(PartOf(request, whole)));
  return steps;
}

// Types of inner values tell what crosses from step to step; without them nothing can be cut.
void CheckBorders(const BuildRequest& request, const std::vector<Region>& regions) {
  for (const Region& region : regions) {
    for (const std::string& value : region.inputs) {
      if (request.values.contains(value)) continue;
      const Node* producer = request.graph.Producer(value);
      if (producer == nullptr) continue;
      Refuse(*producer,
             fmt::format("the type of {} does not follow from its inputs, and OpenVINO cannot take "
                         "the nodes around it whole",
                         value));
    }
  }
}

// OpenVINO computes float64 in float32, infinities cut to its largest number; the reference evaluator does
// not.
void TakeDoubles(const BuildRequest& request, const std::vector<Layer>& layers, std::set<size_t>& reference) {
  const Graph& graph = request.graph;
  std::set<size_t> taken = reference;
  const auto is_double = [&](const std::string& value) {
    const auto known = request.values.find(value);
    return known != request.values.end() && known->second.dtype == DType::kF64;
  };
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const bool touched = std::any_of(node.inputs.begin(), node.inputs.end(), is_double) ||
                         std::any_of(node.outputs.begin(), node.outputs.end(), is_double);
    if (touched && node.domain.empty() && model::reference::Supports(node, graph.opset())) taken.insert(i);
  }
  if (taken.size() == reference.size()) return;
  if (BordersTyped(Partition(graph, layers, taken, request.kept), request.values))
    reference = std::move(taken);
}

// The layers that the candidate runs on own kernels. Where none is chosen, all of them if the CPU has AVX2
// and they leave OpenVINO nothing: they load sooner, take less memory and start without another runtime.
std::vector<Layer> OwnLayers(const BuildRequest& request, const std::set<size_t>& reference) {
  const Graph& graph = request.graph;
  const bool chosen = request.candidate == "strop";
  if (!chosen && (!request.candidate.empty() || HighestIsa(Cpu()) < Isa::kAvx2)) return {};
  std::vector<Layer> layers = FindLayers(graph, request.values, request.kept);
  if (!BordersTyped(Partition(graph, layers, {}, request.kept), request.values)) return {};
  if (chosen) return layers;
  const std::vector<Region> regions = Partition(graph, layers, reference, request.kept);
  const bool whole = std::none_of(regions.begin(), regions.end(),
                                  [](const Region& region) { return region.runner == Runner::kOpenVino; });
  return whole ? layers : std::vector<Layer>();
}

// Steps of OpenVINO, of the own kernels, and of the reference evaluator for single nodes.
std::vector<std::unique_ptr<Step>> MixedSteps(const BuildRequest& request) {
  const Graph& graph = request.graph;
  std::set<size_t> reference = OwnNodes(request);
  const std::vector<Layer> layers = OwnLayers(request, reference);
  const std::map<std::string, Order> orders = OrderValues(graph, layers, request.values, request.kept);
  TakeDoubles(request, layers, reference);
  std::vector<std::unique_ptr<Step>> steps;
  reference.merge(EmptyNodes(graph, request.values));
  // Each round gives at least one more node to the reference evaluator, so it ends.
  for (;;) {
    steps.clear();
    const size_t before = reference.size();
    const std::vector<Region> regions = Partition(graph, layers, reference, request.kept);
    CheckBorders(request, regions);
    for (const Region& region : regions) {
      if (region.runner == Runner::kStrop) {
        steps.push_back(MakeLayerStep(request, *region.layer, orders));
      } else if (region.runner == Runner::kReference) {
        steps.push_back(MakeNodeStep(request, region));
      } else {
        const Graph part = PartOf(request, region);
        try {
          steps.push_back(MakeOpenVinoStep(part, request.openvino));
        } catch (const Error& error) {
          if (error.code() != Code::kUnsupported) throw;
          reference.merge(Refused(request, region, error.what()));
          break;
        }
      }
    }
    if (reference.size() == before) return steps;
  }
}

// Nodes of which no value is read or kept: OpenVINO takes no region without an answer.
void TakeOutDead(Graph& graph, const std::set<std::string>& kept) {
  std::set<std::string> read = kept;
  std::vector<Node> nodes;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const auto is_read = [&](const std::string& value) { return read.contains(value); };
    if (std::none_of(node->outputs.begin(), node->outputs.end(), is_read)) continue;
    for (const std::string& value : model::UsedValues(*node)) read.insert(value);
    nodes.push_back(std::move(*node));
  }
  graph.nodes.assign(std::make_move_iterator(nodes.rbegin()), std::make_move_iterator(nodes.rend()));
}

}  // namespace

void PrepareGraph(Graph& graph, const std::set<std::string>& kept) {
  std::erase_if(graph.nodes, [&](const Node& node) {
    if (node.op != "Constant" || !node.domain.empty()) return false;
    const auto value = node.attributes.find("value");
    if (value == node.attributes.end() || !std::holds_alternative<Tensor>(value->second)) return false;
    graph.initializers[node.outputs[0]] = std::get<Tensor>(value->second);
    return true;
  });
  model::FoldShapes(graph);
  TakeOutDead(graph, kept);
  // The nodes of a subgraph read values without naming them as inputs.
  if (std::none_of(graph.nodes.begin(), graph.nodes.end(), model::HasSubgraph)) {
    TakeOutIdentity(graph, kept);
    QuantizeBefore(graph, kept);
  }
  PartDequantizers(graph);
}

std::vector<std::unique_ptr<Step>> BuildSteps(const BuildRequest& request) {
  const Graph& graph = request.graph;
  CheckOpset(graph);
  CheckTraining(graph);
  if (graph.nodes.empty()) return {};
  if (request.candidate == "reference") return ReferenceSteps(request);
  try {
    return MixedSteps(request);
  } catch (const Error& error) {
    // Control flow that OpenVINO refuses: the types of what comes out of it are not known, so all goes
    // together.
    const bool control = std::any_of(graph.nodes.begin(), graph.nodes.end(), model::HasSubgraph);
    if (error.code() != Code::kUnsupported || !control ||
        !model::reference::SupportsAll(graph, graph.opset()))
      throw;
    return ReferenceSteps(request);
  }
}

}  // namespace strop::engine
