#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/model/arity.h"
#include "strop/model/graph.h"
#include "strop/model/onnx_types.h"
#include "strop/model/subgraph.h"
#include "strop/model/tensor_proto.h"
#include "strop/model/text.h"

namespace strop::model {
namespace {

using strop_onnx::AttributeProto;

constexpr int64_t kNewestOpset = 1000;  // far beyond any there is; damaged numbers are mostly huge

std::string Domain(const std::string& domain) { return domain == "ai.onnx" ? std::string() : domain; }

[[noreturn]] void Corrupt(const Source& source, const std::string& why) {
  throw Error(Code::kCorrupt, fmt::format("{} is not a valid ONNX model: {}", source.where, why));
}

[[noreturn]] void Unsupported(const Source& source, const std::string& what) {
  throw Error(Code::kUnsupported, fmt::format("{}: {}", source.where, what));
}

ValueInfo ReadValue(const strop_onnx::ValueInfoProto& proto, const Source& source, const char* side) {
  if (proto.name().empty()) Corrupt(source, fmt::format("an {} has no name", side));
  if (!proto.type().has_tensor_type()) {
    Unsupported(
        source,
        fmt::format("the {} {} is not a dense tensor (sequences, maps, optional and sparse values are "
                    "not supported)",
                    side, proto.name()));
  }
  const auto& type = proto.type().tensor_type();
  const std::optional<DType> dtype = FromOnnxType(type.elem_type());
  if (!dtype) {
    Unsupported(source,
                fmt::format("the {} {} has the type {}; Strop holds float32, float64, float16, bool and the "
                            "integers of 8 to 64 bits",
                            side, proto.name(), OnnxTypeName(type.elem_type())));
  }
  ValueInfo value{proto.name(), *dtype, {}, {}, type.has_shape()};
  for (const auto& dim : type.shape().dim()) {
    if (dim.has_dim_value() && dim.dim_value() < 0 && dim.dim_value() != -1) {
      Corrupt(source, fmt::format("the {} {} has the size {}", side, proto.name(), dim.dim_value()));
    }
    value.shape.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
    value.dim_names.push_back(dim.dim_param());
  }
  return value;
}

Attribute ReadAttribute(const AttributeProto& proto, const Node& node, const Source& source) {
  const std::string what = fmt::format("the attribute {} of node {} ({})", proto.name(), node.name, node.op);
  if (!proto.ref_attr_name().empty()) Corrupt(source, what + " refers to an attribute of a function");
  switch (proto.type()) {
    case AttributeProto::FLOAT:
      return proto.f();
    case AttributeProto::INT:
      return proto.i();
    case AttributeProto::STRING:
      return proto.s();
    case AttributeProto::GRAPH: {
      SubgraphBytes subgraph{proto.g().SerializeAsString()};
      return subgraph;
    }
    case AttributeProto::FLOATS:
      return std::vector<float>(proto.floats().begin(), proto.floats().end());
    case AttributeProto::INTS:
      return std::vector<int64_t>(proto.ints().begin(), proto.ints().end());
    case AttributeProto::STRINGS:
      return std::vector<std::string>(proto.strings().begin(), proto.strings().end());
    case AttributeProto::TENSOR: {
      ReadResult read = ReadTensor(proto.t(), source, what);
      if (read.packed4) Unsupported(source, what + " is a 4-bit tensor; make it an initializer");
      return std::move(read.tensor);
    }
    case AttributeProto::UNDEFINED:
      Corrupt(source, what + " does not say its type");
    default:
      Unsupported(source, fmt::format("{} is of kind {}", what, static_cast<int>(proto.type())));
  }
}

Node ReadNode(const strop_onnx::NodeProto& proto, std::string name, const Source& source) {
  Node node;
  node.op = proto.op_type();
  node.domain = Domain(proto.domain());
  node.name = std::move(name);
  if (node.op.empty()) Corrupt(source, fmt::format("node {} has no operator", node.name));
  node.inputs.assign(proto.input().begin(), proto.input().end());
  node.outputs.assign(proto.output().begin(), proto.output().end());
  for (const AttributeProto& attribute : proto.attribute()) {
    node.attributes[attribute.name()] = ReadAttribute(attribute, node, source);
  }
  return node;
}

// Subgraphs are only carried along, but what runs them must not meet tensors of the wrong size, files, or
// shapes that contradict each other. `scope` has the opsets and the constants around them.
void CheckSubgraphs(const strop_onnx::NodeProto& node, const Graph& scope, const Source& source) {
  for (const AttributeProto& attribute : node.attribute()) {
    if (attribute.type() != AttributeProto::GRAPH) continue;
    const Source within{fmt::format("{} (a subgraph of node {})", source.where, node.name()), std::nullopt};
    const auto& proto = attribute.g();
    if (!proto.sparse_initializer().empty()) Unsupported(within, "an initializer is sparse");
    Graph graph;
    graph.opsets = scope.opsets;
    graph.initializers = scope.initializers;
    for (const auto& input : proto.input()) graph.initializers.erase(input.name());
    for (const auto& tensor : proto.initializer()) {
      graph.initializers[tensor.name()] =
          ReadTensor(tensor, within, fmt::format("the initializer {}", tensor.name())).tensor;
    }
    for (const auto& inner : proto.node()) {
      graph.nodes.push_back(ReadNode(inner, inner.name(), within));
      const Node& last = graph.nodes.back();
      CheckArity(last, graph.opsets);
      CheckSubgraphs(inner, graph, source);
      const auto value = last.attributes.find("value");
      if (last.op == "Constant" && value != last.attributes.end() &&
          std::holds_alternative<Tensor>(value->second))
        graph.initializers[last.outputs[0]] = std::get<Tensor>(value->second);
      if (NeverLoops(graph, last))
        Unsupported(within, fmt::format("the Loop {} never goes round", last.name));
    }
    InferShapes(graph);
  }
}

// Names of the file are kept where they are unique; the others are made from the operator.
std::vector<std::string> NodeNames(const strop_onnx::GraphProto& proto) {
  std::set<std::string> taken;
  for (const auto& node : proto.node()) taken.insert(node.name());
  std::set<std::string> used;
  std::vector<std::string> names;
  for (const auto& node : proto.node()) {
    std::string name = node.name();
    if (name.empty() || used.contains(name)) {
      const std::string base = name.empty() ? node.op_type() : name;
      int i = name.empty() ? 1 : 2;
      do {
        name = fmt::format("{}_{}", base, i++);
      } while (taken.contains(name));
      taken.insert(name);
    }
    used.insert(name);
    names.push_back(std::move(name));
  }
  return names;
}

// Keeps the order of the file as far as it can. What takes part in a cycle stays behind, for Validate to
// name.
void SortNodes(Graph& graph) {
  std::set<std::string> made = {""};
  for (const ValueInfo& input : graph.inputs) made.insert(input.name);
  for (const auto& [value, tensor] : graph.initializers) made.insert(value);
  std::vector<Node> sorted;
  std::vector<std::vector<std::string>> used;
  for (const Node& node : graph.nodes) used.push_back(UsedValues(node));
  std::vector<bool> placed(graph.nodes.size(), false);
  bool moved = true;
  while (moved && sorted.size() < graph.nodes.size()) {
    moved = false;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      if (placed[i] ||
          !std::all_of(used[i].begin(), used[i].end(), [&](const auto& v) { return made.contains(v); })) {
        continue;
      }
      made.insert(graph.nodes[i].outputs.begin(), graph.nodes[i].outputs.end());
      sorted.push_back(std::move(graph.nodes[i]));
      placed[i] = moved = true;
    }
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!placed[i]) sorted.push_back(std::move(graph.nodes[i]));
  }
  graph.nodes = std::move(sorted);
}

// Names end up in messages and in other languages' strings.
void CheckNames(const Graph& graph, const Source& source) {
  const auto check = [&](const std::string& name) {
    if (!IsText(name)) Corrupt(source, fmt::format("the name \"{}\" is not UTF-8 text of one line", name));
  };
  check(graph.name);
  for (const auto& [name, tensor] : graph.initializers) check(name);
  for (const auto* values : {&graph.inputs, &graph.outputs}) {
    for (const ValueInfo& value : *values) {
      check(value.name);
      for (const std::string& dim : value.dim_names) check(dim);
    }
  }
  for (const auto& [domain, version] : graph.opsets) check(domain);
  for (const Node& node : graph.nodes) {
    check(node.op);
    check(node.domain);
    check(node.name);
    for (const std::string& value : node.inputs) check(value);
    for (const std::string& value : node.outputs) check(value);
    for (const auto& [name, attribute] : node.attributes) check(name);
  }
}

void ReadNodes(const strop_onnx::GraphProto& proto, const Source& source, Graph& graph) {
  const std::vector<std::string> names = NodeNames(proto);
  for (int i = 0; i < proto.node_size(); ++i)
    graph.nodes.push_back(ReadNode(proto.node(i), names[static_cast<size_t>(i)], source));
}

Graph FromProto(const strop_onnx::ModelProto& model, const Source& source) {
  if (!model.has_graph() || model.opset_import().empty()) {
    Corrupt(source, model.has_graph() ? "it names no opset" : "it holds no graph");
  }
  if (!model.functions().empty()) {
    Unsupported(source, fmt::format("it defines functions of its own ({}); inline them with "
                                    "onnx.inliner.inline_local_functions",
                                    model.functions(0).name()));
  }
  const auto& proto = model.graph();
  if (!proto.sparse_initializer().empty()) {
    Unsupported(source,
                fmt::format("the initializer {} is sparse", proto.sparse_initializer(0).values().name()));
  }
  Graph graph;
  graph.name = proto.name();
  graph.ir_version = model.ir_version();
  for (const auto& opset : model.opset_import()) {
    if (opset.version() < 1 || opset.version() > kNewestOpset)
      Corrupt(source, fmt::format("it is of opset {} of \"{}\"", opset.version(), opset.domain()));
    graph.opsets[Domain(opset.domain())] = opset.version();
  }
  for (const auto& entry : model.metadata_props()) graph.metadata[entry.key()] = entry.value();
  for (const auto& tensor : proto.initializer()) {
    ReadResult read = ReadTensor(tensor, source, fmt::format("the initializer {}", tensor.name()));
    if (!graph.initializers.emplace(tensor.name(), std::move(read.tensor)).second) {
      Corrupt(source, fmt::format("the initializer {} is there twice", tensor.name()));
    }
    if (read.packed4) graph.packed4.insert(tensor.name());
  }
  for (const auto& input : proto.input()) {
    if (!graph.initializers.contains(input.name())) graph.inputs.push_back(ReadValue(input, source, "input"));
  }
  for (const auto& output : proto.output()) graph.outputs.push_back(ReadValue(output, source, "output"));
  ReadNodes(proto, source, graph);
  CheckNames(graph, source);
  SortNodes(graph);
  try {
    for (const auto& node : proto.node()) CheckSubgraphs(node, graph, source);
    graph.Validate();
  } catch (const Error& error) {
    if (error.code() != Code::kInvalidArgument) throw;
    Corrupt(source, error.what());
  }
  return graph;
}

Graph ParseFrom(std::string_view bytes, const Source& source) {
  if (bytes.empty()) Corrupt(source, "it is empty");
  if (bytes.size() > INT32_MAX) Unsupported(source, "it is larger than 2 GiB, the limit of the ONNX format");
  strop_onnx::ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    Corrupt(source,
            fmt::format("its {} bytes do not parse; the file is cut short or something else", bytes.size()));
  }
  try {
    return FromProto(model, source);
  } catch (const Error& error) {
    throw Error(error.code(), Printable(error.what()));
  } catch (const std::bad_alloc&) {
    Unsupported(source, "it takes more memory than there is");
  }
}

}  // namespace

Graph Graph::Load(const std::filesystem::path& path) {
  std::filesystem::path folder = path.parent_path();
  if (folder.empty()) folder = ".";
  return ParseFrom(ReadFile(path), {path.string(), std::move(folder)});
}

Graph ReadSubgraph(const SubgraphBytes& subgraph) {
  const Source source{"a subgraph", std::nullopt};
  strop_onnx::GraphProto proto;
  if (!proto.ParseFromString(subgraph.bytes)) Corrupt(source, "its bytes do not parse");
  Graph graph;
  graph.name = proto.name();
  for (const auto& tensor : proto.initializer())
    graph.initializers[tensor.name()] =
        ReadTensor(tensor, source, fmt::format("the initializer {}", tensor.name())).tensor;
  for (const auto& input : proto.input()) graph.inputs.push_back({input.name(), DType::kF32, {}, {}, false});
  for (const auto& output : proto.output())
    graph.outputs.push_back({output.name(), DType::kF32, {}, {}, false});
  ReadNodes(proto, source, graph);
  return graph;
}

Graph Graph::Parse(std::string_view onnx_bytes, const std::string& where) {
  return ParseFrom(onnx_bytes, {where, std::nullopt});
}

}  // namespace strop::model
