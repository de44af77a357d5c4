#include <algorithm>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/model/graph.h"
#include "strop/model/onnx_types.h"
#include "strop/model/tensor_proto.h"

namespace strop::model {
namespace {

using strop_onnx::AttributeProto;

constexpr int64_t kFirstIrWithFreeInitializers = 4;

void WriteValue(const ValueInfo& value, strop_onnx::ValueInfoProto& proto) {
  proto.set_name(value.name);
  auto& type = *proto.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<int32_t>(OnnxType(value.dtype)));
  if (!value.has_shape) return;
  auto& shape = *type.mutable_shape();
  for (size_t i = 0; i < value.shape.size(); ++i) {
    auto& dim = *shape.add_dim();
    if (value.shape[i] >= 0) {
      dim.set_dim_value(value.shape[i]);
    } else if (i < value.dim_names.size() && !value.dim_names[i].empty()) {
      dim.set_dim_param(value.dim_names[i]);
    }
  }
}

struct AttributeWriter {
  AttributeProto& proto;
  const std::string& node;

  void operator()(int64_t value) const {
    proto.set_type(AttributeProto::INT);
    proto.set_i(value);
  }
  void operator()(float value) const {
    proto.set_type(AttributeProto::FLOAT);
    proto.set_f(value);
  }
  void operator()(const std::string& value) const {
    proto.set_type(AttributeProto::STRING);
    proto.set_s(value);
  }
  void operator()(const Tensor& value) const {
    proto.set_type(AttributeProto::TENSOR);
    WriteTensor(value, false, *proto.mutable_t());
  }
  void operator()(const SubgraphBytes& value) const {
    proto.set_type(AttributeProto::GRAPH);
    if (!proto.mutable_g()->ParseFromString(value.bytes)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("node {}: the subgraph attribute {} is not an ONNX graph", node, proto.name()));
    }
  }
  void operator()(const std::vector<int64_t>& values) const {
    proto.set_type(AttributeProto::INTS);
    proto.mutable_ints()->Add(values.begin(), values.end());
  }
  void operator()(const std::vector<float>& values) const {
    proto.set_type(AttributeProto::FLOATS);
    proto.mutable_floats()->Add(values.begin(), values.end());
  }
  void operator()(const std::vector<std::string>& values) const {
    proto.set_type(AttributeProto::STRINGS);
    for (const std::string& value : values) proto.add_strings(value);
  }
};

void WriteNode(const Node& node, strop_onnx::NodeProto& proto) {
  proto.set_op_type(node.op);
  proto.set_domain(node.domain);
  proto.set_name(node.name);
  for (const std::string& input : node.inputs) proto.add_input(input);
  for (const std::string& output : node.outputs) proto.add_output(output);
  for (const auto& [name, value] : node.attributes) {
    AttributeProto& attribute = *proto.add_attribute();
    attribute.set_name(name);
    std::visit(AttributeWriter{attribute, node.name}, value);
  }
}

}  // namespace

std::string Graph::Serialize() const {
  Validate();
  strop_onnx::ModelProto model;
  model.set_ir_version(std::max(ir_version, kFirstIrWithFreeInitializers));
  model.set_producer_name("strop");
  for (const auto& [domain, version] : opsets) {
    auto& opset = *model.add_opset_import();
    opset.set_domain(domain);
    opset.set_version(version);
  }
  for (const auto& [key, value] : metadata) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  auto& graph = *model.mutable_graph();
  graph.set_name(name.empty() ? "graph" : name);  // the specification wants one
  for (const ValueInfo& input : inputs) WriteValue(input, *graph.add_input());
  for (const ValueInfo& output : outputs) WriteValue(output, *graph.add_output());
  for (const auto& [value, tensor] : initializers) {
    auto& initializer = *graph.add_initializer();
    initializer.set_name(value);
    WriteTensor(tensor, packed4.contains(value), initializer);
  }
  for (const Node& node : nodes) WriteNode(node, *graph.add_node());
  const size_t bytes = model.ByteSizeLong();
  if (bytes > INT32_MAX) {
    throw Error(
        Code::kUnsupported,
        fmt::format("the model {} takes {} bytes; ONNX without external data ends at 2 GiB", name, bytes));
  }
  return model.SerializeAsString();
}

void Graph::Save(const std::filesystem::path& path) const { WriteFileAtomically(path, Serialize()); }

}  // namespace strop::model
