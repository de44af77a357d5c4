#include "strop/engine/fuzz/mutate.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

namespace strop::engine::fuzz {
namespace {

using namespace strop_onnx;

// Where sizes, axes, counts and indices tip over.
constexpr int64_t kNumbers[] = {0,
                                1,
                                2,
                                3,
                                5,
                                -1,
                                -2,
                                -7,
                                63,
                                1000,
                                65537,
                                int64_t{1} << 20,
                                INT32_MAX,
                                INT32_MIN,
                                int64_t{1} << 31,
                                int64_t{1} << 32,
                                int64_t{1} << 40,
                                int64_t{1} << 62,
                                INT64_MAX,
                                INT64_MIN};
constexpr float kReals[] = {0,
                            -0.0f,
                            1,
                            -1,
                            1e-45f,
                            3e38f,
                            -3e38f,
                            1e10f,
                            std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()};
constexpr const char* kOperators[] = {"Abs",
                                      "Add",
                                      "And",
                                      "ArgMax",
                                      "AveragePool",
                                      "BatchNormalization",
                                      "Bernoulli",
                                      "BitShift",
                                      "Cast",
                                      "Clip",
                                      "Compress",
                                      "Concat",
                                      "Constant",
                                      "Conv",
                                      "ConvInteger",
                                      "CumSum",
                                      "DepthToSpace",
                                      "ConstantOfShape",
                                      "Dropout",
                                      "Einsum",
                                      "Equal",
                                      "Expand",
                                      "EyeLike",
                                      "DequantizeLinear",
                                      "Flatten",
                                      "GRU",
                                      "Gather",
                                      "GatherND",
                                      "Gemm",
                                      "GatherElements",
                                      "GridSample",
                                      "Hardmax",
                                      "Identity",
                                      "If",
                                      "InstanceNormalization",
                                      "LRN",
                                      "LSTM",
                                      "LayerNormalization",
                                      "LogSoftmax",
                                      "Loop",
                                      "LpNormalization",
                                      "LpPool",
                                      "MatMul",
                                      "MatMulInteger",
                                      "Max",
                                      "MaxPool",
                                      "MaxRoiPool",
                                      "MaxUnpool",
                                      "Mod",
                                      "Multinomial",
                                      "NonMaxSuppression",
                                      "NonZero",
                                      "Not",
                                      "OneHot",
                                      "PRelu",
                                      "Pad",
                                      "Pow",
                                      "QLinearConv",
                                      "QLinearMatMul",
                                      "QuantizeLinear",
                                      "RNN",
                                      "RandomUniform",
                                      "Range",
                                      "ReduceL1",
                                      "ReduceMax",
                                      "ReduceMean",
                                      "ReduceSum",
                                      "Relu",
                                      "Reshape",
                                      "Resize",
                                      "ReverseSequence",
                                      "RoiAlign",
                                      "Scan",
                                      "ScatterElements",
                                      "ScatterND",
                                      "SequenceAt",
                                      "Shape",
                                      "Slice",
                                      "Softmax",
                                      "SpaceToDepth",
                                      "Split",
                                      "SplitToSequence",
                                      "Squeeze",
                                      "StringNormalizer",
                                      "Sum",
                                      "Tile",
                                      "TopK",
                                      "Transpose",
                                      "Trilu",
                                      "Unique",
                                      "Unsqueeze",
                                      "Upsample",
                                      "Where",
                                      "ArrayFeatureExtractor",
                                      "Binarizer",
                                      "CategoryMapper",
                                      "DictVectorizer",
                                      "FeatureVectorizer",
                                      "Imputer",
                                      "LabelEncoder",
                                      "LinearClassifier",
                                      "LinearRegressor",
                                      "Normalizer",
                                      "OneHotEncoder",
                                      "SVMClassifier",
                                      "SVMRegressor",
                                      "Scaler",
                                      "TreeEnsemble",
                                      "TreeEnsembleClassifier",
                                      "TreeEnsembleRegressor",
                                      "ZipMap",
                                      "Nonsense"};
constexpr const char* kAttributes[] = {"axis",
                                       "axes",
                                       "perm",
                                       "pads",
                                       "strides",
                                       "dilations",
                                       "group",
                                       "kernel_shape",
                                       "to",
                                       "ceil_mode",
                                       "auto_pad",
                                       "keepdims",
                                       "epsilon",
                                       "transA",
                                       "transB",
                                       "alpha",
                                       "beta",
                                       "value",
                                       "blocksize",
                                       "mode",
                                       "block_size",
                                       "num_outputs",
                                       "split",
                                       "starts",
                                       "ends",
                                       "output_shape",
                                       "output_padding",
                                       "hidden_size",
                                       "direction",
                                       "k",
                                       "largest",
                                       "allowzero",
                                       "batch_dims",
                                       "equation",
                                       "training_mode",
                                       "count_include_pad",
                                       "storage_order",
                                       "value_int",
                                       "value_floats",
                                       "value_ints",
                                       "shape",
                                       "dtype",
                                       "size",
                                       "body",
                                       "then_branch",
                                       "n_targets",
                                       "classlabels_int64s",
                                       "post_transform",
                                       "nodes_truenodeids",
                                       "nodes_featureids",
                                       "tree_roots",
                                       "leaf_targetids"};
constexpr const char* kDomains[] = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "x"};
constexpr const char* kPlaces[] = {"weights.bin",
                                   "../weights.bin",
                                   "../../../../etc/passwd",
                                   "/etc/passwd",
                                   "link.bin",
                                   "missing.bin",
                                   "",
                                   ".",
                                   "a/../../b",
                                   "/dev/zero",
                                   "./weights.bin/",
                                   "mutant.onnx"};
constexpr const char* kTexts[] = {
    "",       "SAME_LOWER", "VALID",       "nearest",    "reflect",  "LEAF",   "BRANCH_EQ",        "SOFTMAX",
    "PROBIT", "ij,jk->ik",  "...a,a...->", "two\nlines", "\xff\xfe", "%s%n{}", "strop.penultimate"};

template <class Range>
auto& Pick(Range& range, Rng& rng) {
  return range[static_cast<int>(rng.Below(static_cast<uint64_t>(std::size(range))))];
}

bool OneIn(uint64_t n, Rng& rng) { return rng.Below(n) == 0; }

// Every part of a model, subgraphs included, by kind.
struct Parts {
  std::vector<GraphProto*> graphs;
  std::vector<NodeProto*> nodes;
  std::vector<AttributeProto*> attributes;
  std::vector<TensorProto*> tensors;
  std::vector<ValueInfoProto*> values;
  std::vector<std::string*> names;  // of values, wherever they stand

  explicit Parts(ModelProto& model) { Add(*model.mutable_graph()); }

 private:
  void Add(GraphProto& graph) {
    graphs.push_back(&graph);
    for (auto* list : {graph.mutable_input(), graph.mutable_output(), graph.mutable_value_info()}) {
      for (ValueInfoProto& value : *list) {
        values.push_back(&value);
        names.push_back(value.mutable_name());
      }
    }
    for (TensorProto& tensor : *graph.mutable_initializer()) {
      tensors.push_back(&tensor);
      names.push_back(tensor.mutable_name());
    }
    for (NodeProto& node : *graph.mutable_node()) {
      nodes.push_back(&node);
      for (std::string& name : *node.mutable_input()) names.push_back(&name);
      for (std::string& name : *node.mutable_output()) names.push_back(&name);
      for (AttributeProto& attribute : *node.mutable_attribute()) {
        attributes.push_back(&attribute);
        if (attribute.has_t()) tensors.push_back(attribute.mutable_t());
        if (attribute.has_g()) Add(*attribute.mutable_g());
      }
    }
  }
};

int64_t Number(int64_t now, Rng& rng) {
  if (OneIn(3, rng)) return now + static_cast<int64_t>(rng.Below(5)) - 2;
  return Pick(kNumbers, rng);
}

// One element changed, added or taken away.
template <class List, class Change>
void DamageList(List& list, Rng& rng, Change change) {
  const uint64_t what = rng.Below(4);
  if (list.empty() || what == 0) {
    list.Add(change({}));
  } else if (what == 1) {
    list.RemoveLast();
  } else {
    auto& element = Pick(list, rng);
    element = change(element);
  }
}

std::string Text(const std::string& now, Rng& rng) {
  if (OneIn(20, rng)) return std::string(1 + rng.Below(100'000), 'a');
  if (now.empty() || OneIn(2, rng)) return Pick(kTexts, rng);
  std::string changed = now;
  changed[rng.Below(changed.size())] = static_cast<char>(rng.Below(256));
  return changed;
}

void MoveOutside(TensorProto& tensor, Rng& rng) {
  tensor.set_data_location(TensorProto::EXTERNAL);
  tensor.clear_external_data();
  const auto add = [&](const char* key, const std::string& value) {
    auto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  };
  add("location", OneIn(3, rng) ? "weights.bin" : Pick(kPlaces, rng));
  if (OneIn(2, rng)) add("offset", std::to_string(Number(64, rng)));
  if (OneIn(2, rng)) add("length", std::to_string(Number(384, rng)));
}

void DamageTensorData(TensorProto& tensor, Rng& rng) {
  std::string& raw = *tensor.mutable_raw_data();
  switch (rng.Below(4)) {
    case 0:
      raw.resize(raw.size() + 9 - std::min<size_t>(raw.size() + 9, rng.Below(20)));
      break;
    case 1:
      tensor.clear_raw_data();
      DamageList(*tensor.mutable_float_data(), rng, [&](float) { return Pick(kReals, rng); });
      break;
    case 2:
      tensor.clear_raw_data();
      DamageList(*tensor.mutable_int64_data(), rng, [&](int64_t now) { return Number(now, rng); });
      break;
    default:
      tensor.clear_raw_data();
      tensor.add_int32_data(static_cast<int32_t>(Pick(kNumbers, rng)));
  }
}

// What an element says, which for integers is often a shape, an axis or a count.
void DamageElement(TensorProto& tensor, Rng& rng) {
  std::string& raw = *tensor.mutable_raw_data();
  const auto put = [&]<class T>(T value) {
    if (raw.size() < sizeof value) return;
    const size_t at = rng.Below(raw.size() / sizeof value) * sizeof value;
    std::copy_n(reinterpret_cast<const char*>(&value), sizeof value, raw.data() + at);
  };
  if (tensor.data_type() == TensorProto::INT64) {
    put(Number(0, rng));
  } else if (tensor.data_type() == TensorProto::FLOAT) {
    put(Pick(kReals, rng));
  } else {
    put(static_cast<char>(rng.Below(256)));
  }
}

void DamageTensor(TensorProto& tensor, Rng& rng) {
  switch (rng.Below(6)) {
    case 0:
      return DamageList(*tensor.mutable_dims(), rng, [&](int64_t now) { return Number(now, rng); });
    case 1:
      return DamageTensorData(tensor, rng);
    case 2:
      return tensor.set_data_type(static_cast<int32_t>(rng.Below(32)) - 1);
    case 3:
      return MoveOutside(tensor, rng);
    default:
      return DamageElement(tensor, rng);
  }
}

void DamageValue(ValueInfoProto& value, Rng& rng) {
  auto& type = *value.mutable_type()->mutable_tensor_type();
  switch (rng.Below(6)) {
    case 0:
      return type.set_elem_type(static_cast<int32_t>(rng.Below(32)) - 1);
    case 1:
      return type.clear_shape();
    case 2:
      return value.clear_type();
    case 3:
      type.mutable_shape()->add_dim()->set_dim_value(Pick(kNumbers, rng));
      return;
    default: {
      if (type.shape().dim().empty()) return;
      auto& dim = Pick(*type.mutable_shape()->mutable_dim(), rng);
      if (OneIn(3, rng)) return dim.set_dim_param("batch");
      dim.set_dim_value(Number(dim.dim_value(), rng));
    }
  }
}

void DamageKind(AttributeProto& attribute, Rng& rng) {
  attribute.set_type(static_cast<AttributeProto::AttributeType>(rng.Below(12)));
  attribute.set_i(Pick(kNumbers, rng));
  attribute.set_f(Pick(kReals, rng));
  attribute.add_ints(Pick(kNumbers, rng));
  attribute.add_floats(Pick(kReals, rng));
  attribute.add_strings(Pick(kTexts, rng));
}

void DamageAttribute(AttributeProto& attribute, Rng& rng) {
  if (OneIn(8, rng)) return DamageKind(attribute, rng);
  if (OneIn(12, rng)) return attribute.set_name(Pick(kAttributes, rng));
  switch (attribute.type()) {
    case AttributeProto::INT:
      return attribute.set_i(Number(attribute.i(), rng));
    case AttributeProto::FLOAT:
      return attribute.set_f(Pick(kReals, rng));
    case AttributeProto::STRING:
      return attribute.set_s(Text(attribute.s(), rng));
    case AttributeProto::INTS:
      return DamageList(*attribute.mutable_ints(), rng, [&](int64_t now) { return Number(now, rng); });
    case AttributeProto::FLOATS:
      return DamageList(*attribute.mutable_floats(), rng, [&](float) { return Pick(kReals, rng); });
    case AttributeProto::STRINGS:
      if (attribute.strings().empty()) return;
      Pick(*attribute.mutable_strings(), rng) = Text("", rng);
      return;
    default:
      return DamageKind(attribute, rng);
  }
}

void AddAttribute(NodeProto& node, Rng& rng) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(Pick(kAttributes, rng));
  constexpr AttributeProto::AttributeType kKinds[] = {AttributeProto::INT,   AttributeProto::INT,
                                                      AttributeProto::INTS,  AttributeProto::INTS,
                                                      AttributeProto::FLOAT, AttributeProto::STRING};
  attribute.set_type(Pick(kKinds, rng));
  attribute.set_i(Pick(kNumbers, rng));
  attribute.set_f(Pick(kReals, rng));
  attribute.set_s(Pick(kTexts, rng));
  for (uint64_t i = rng.Below(5); i > 0; --i)
    attribute.add_ints(OneIn(2, rng) ? Pick(kNumbers, rng) : static_cast<int64_t>(rng.Below(4)));
  if (OneIn(2, rng)) attribute.set_i(static_cast<int64_t>(rng.Below(12)));
}

// A new operator on values that are there, which one of the others then reads or the graph answers.
void InsertNode(GraphProto& graph, Parts& parts, Rng& rng) {
  NodeProto node;
  node.set_op_type(Pick(kOperators, rng));
  if (OneIn(10, rng)) node.set_domain(Pick(kDomains, rng));
  for (uint64_t i = 1 + rng.Below(OneIn(4, rng) ? 6 : 3); i > 0; --i)
    node.add_input(OneIn(12, rng) ? "" : *Pick(parts.names, rng));
  for (uint64_t i = 1 + rng.Below(OneIn(4, rng) ? 3 : 1); i > 0; --i)
    node.add_output("new" + std::to_string(rng.Below(1 << 20)));
  for (uint64_t i = rng.Below(4); i > 0; --i) AddAttribute(node, rng);
  if (graph.node().empty() || OneIn(2, rng)) {
    graph.add_output()->set_name(node.output(0));
    graph.mutable_output()->rbegin()->mutable_type()->mutable_tensor_type()->set_elem_type(
        TensorProto::FLOAT);
  } else {
    NodeProto& reader = Pick(*graph.mutable_node(), rng);
    if (!reader.input().empty()) Pick(*reader.mutable_input(), rng) = node.output(0);
  }
  *graph.add_node() = std::move(node);
}

void DamageNode(NodeProto& node, Parts& parts, Rng& rng) {
  const auto rename = [&](std::string) { return OneIn(6, rng) ? std::string() : *Pick(parts.names, rng); };
  switch (rng.Below(8)) {
    case 0:
      return node.set_op_type(Pick(kOperators, rng));
    case 1:
      return node.set_domain(Pick(kDomains, rng));
    case 2:
      return DamageList(*node.mutable_output(), rng, rename);
    case 3:
      return AddAttribute(node, rng);
    case 4:
      if (!node.attribute().empty()) node.mutable_attribute()->RemoveLast();
      return;
    default:
      return DamageList(*node.mutable_input(), rng, rename);
  }
}

// The graph as a branch within itself, some levels deep.
void Nest(NodeProto& node, const GraphProto& graph, Rng& rng) {
  GraphProto nested = graph;
  for (uint64_t depth = rng.Below(OneIn(4, rng) ? 60 : 3); depth > 0; --depth) {
    GraphProto outer;
    outer.set_name("outer");
    NodeProto& inner = *outer.add_node();
    inner.set_op_type("If");
    inner.add_input("c");
    inner.add_output("o");
    for (const char* branch : {"then_branch", "else_branch"}) {
      AttributeProto& attribute = *inner.add_attribute();
      attribute.set_name(branch);
      attribute.set_type(AttributeProto::GRAPH);
      if (branch == std::string_view("then_branch")) *attribute.mutable_g() = nested;
    }
    outer.add_output()->set_name("o");
    nested = std::move(outer);
  }
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(OneIn(2, rng) ? "body" : "then_branch");
  attribute.set_type(AttributeProto::GRAPH);
  *attribute.mutable_g() = std::move(nested);
}

void DamageGraph(GraphProto& graph, const std::vector<Specimen>& corpus, Rng& rng) {
  auto& nodes = *graph.mutable_node();
  switch (rng.Below(9)) {
    case 0:
      if (nodes.size() > 1)
        nodes.SwapElements(0, static_cast<int>(rng.Below(static_cast<uint64_t>(nodes.size()))));
      return;
    case 1:
      if (!nodes.empty()) *graph.add_node() = Pick(nodes, rng);
      return;
    case 2:
      if (!nodes.empty())
        nodes.DeleteSubrange(static_cast<int>(rng.Below(static_cast<uint64_t>(nodes.size()))), 1);
      return;
    case 3:
      if (!graph.output().empty()) *graph.add_output() = Pick(*graph.mutable_output(), rng);
      return;
    case 4:
      if (!graph.input().empty()) graph.mutable_input()->RemoveLast();
      return;
    case 5:
      if (!graph.initializer().empty()) *graph.add_initializer() = Pick(*graph.mutable_initializer(), rng);
      return;
    case 6:
      if (!nodes.empty()) Nest(Pick(nodes, rng), graph, rng);
      return;
    case 7:
      graph.MergeFrom(corpus[rng.Below(corpus.size())].model.graph());
      return;
    default:
      if (!graph.output().empty()) graph.mutable_output()->RemoveLast();
  }
}

void DamageModel(ModelProto& model, Rng& rng) {
  switch (rng.Below(4)) {
    case 0:
      return model.set_ir_version(Pick(kNumbers, rng));
    case 1: {
      auto& opset = *model.add_opset_import();
      opset.set_domain(Pick(kDomains, rng));
      opset.set_version(static_cast<int64_t>(rng.Below(30)));
      return;
    }
    case 2: {
      auto& entry = *model.add_metadata_props();
      entry.set_key("strop.penultimate");
      entry.set_value(Text("x", rng));
      return;
    }
    default:
      if (!model.opset_import().empty()) {
        auto& opset = Pick(*model.mutable_opset_import(), rng);
        opset.set_version(OneIn(2, rng) ? static_cast<int64_t>(rng.Below(25)) : Number(17, rng));
      }
  }
}

void DamageStructure(ModelProto& model, const std::vector<Specimen>& corpus, Rng& rng) {
  Parts parts(model);
  const uint64_t what = rng.Below(24);
  if (what >= 20) return InsertNode(*Pick(parts.graphs, rng), parts, rng);
  if (what < 5 && !parts.attributes.empty()) return DamageAttribute(*Pick(parts.attributes, rng), rng);
  if (what < 9 && !parts.tensors.empty()) return DamageTensor(*Pick(parts.tensors, rng), rng);
  if (what < 14 && !parts.nodes.empty()) return DamageNode(*Pick(parts.nodes, rng), parts, rng);
  if (what < 16 && !parts.values.empty()) return DamageValue(*Pick(parts.values, rng), rng);
  if (what == 16 && !parts.names.empty()) {
    std::string& name = *Pick(parts.names, rng);
    name = Text(name, rng);
    return;
  }
  if (what < 19) return DamageGraph(*Pick(parts.graphs, rng), corpus, rng);
  DamageModel(model, rng);
}

void DamageBytes(std::string& bytes, Rng& rng) {
  if (bytes.empty()) return;
  const size_t at = rng.Below(bytes.size());
  const size_t count = std::min<size_t>(bytes.size() - at, 1 + rng.Below(OneIn(4, rng) ? 64 : 4));
  switch (rng.Below(6)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << rng.Below(8)));
      return;
    case 1:
      bytes.erase(at, count);
      return;
    case 2:
      bytes.insert(at, std::string(count, static_cast<char>(rng.Below(256))));
      return;
    case 3:
      bytes.resize(at);
      return;
    case 4:
      bytes.insert(rng.Below(bytes.size()), bytes.substr(at, count));
      return;
    default:
      bytes[at] = static_cast<char>(rng.Below(256));
  }
}

}  // namespace

std::string MakeMutant(const std::vector<Specimen>& corpus, Rng& rng) {
  const Specimen& specimen = corpus[rng.Below(corpus.size())];
  const uint64_t what = rng.Below(12);  // 0: bytes; 1: both; else structure
  ModelProto model = specimen.model;
  if (what > 0)
    for (uint64_t i = 1 + rng.Below(OneIn(3, rng) ? 4 : 1); i > 0; --i) DamageStructure(model, corpus, rng);
  std::string bytes = model.SerializeAsString();
  if (what < 2)
    for (uint64_t i = 1 + rng.Below(4); i > 0; --i) DamageBytes(bytes, rng);
  return bytes;
}

}  // namespace strop::engine::fuzz
