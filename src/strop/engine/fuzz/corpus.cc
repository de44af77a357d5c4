#include "strop/engine/fuzz/corpus.h"

#include <map>
#include <utility>

#include "strop/base/file.h"
#include "strop/engine/test_graphs.h"
#include "strop/model/graph.h"

namespace strop::engine::fuzz {
namespace {

using model::Attribute;
using model::Graph;
using model::SubgraphBytes;
using model::ValueInfo;
using Texts = std::vector<std::string>;
using Whole = std::vector<int64_t>;
using Reals = std::vector<float>;

constexpr int64_t kWeightBytes = 4 * 12 * 8;

// A graph written value by value; names of nodes follow from their outputs.
class Writer {
 public:
  explicit Writer(int64_t opset) {
    graph_.name = "specimen";
    graph_.ir_version = 8;
    graph_.opsets[""] = opset;
  }
  Writer& Input(const std::string& name, Shape shape, DType dtype = DType::kF32) {
    graph_.inputs.push_back(Value(name, std::move(shape), dtype));
    return *this;
  }
  Writer& Output(const std::string& name, Shape shape, DType dtype = DType::kF32) {
    graph_.outputs.push_back(Value(name, std::move(shape), dtype));
    return *this;
  }
  Writer& Weight(const std::string& name, Shape shape) {
    graph_.initializers[name] = RandomF32(std::move(shape), ++seed_);
    return *this;
  }
  Writer& Const(const std::string& name, Tensor tensor) {
    graph_.initializers[name] = std::move(tensor);
    return *this;
  }
  Writer& Ints(const std::string& name, const Whole& values) {
    return Const(name, Tensor::From<int64_t>({static_cast<int64_t>(values.size())}, values));
  }
  Writer& Int(const std::string& name, int64_t value) {
    return Const(name, Tensor::From<int64_t>({}, std::span<const int64_t>(&value, 1)));
  }
  Writer& Node(const std::string& op, Texts inputs, Texts outputs,
               std::map<std::string, Attribute> attributes = {}, const std::string& domain = "") {
    const std::string name = op + "_" + outputs[0];
    graph_.nodes.push_back(MakeNode(op, name, std::move(inputs), std::move(outputs), std::move(attributes)));
    graph_.nodes.back().domain = domain;
    if (!domain.empty()) graph_.opsets[domain] = op == "TreeEnsemble" ? 5 : 3;
    return *this;
  }
  Writer& Ml(const std::string& op, Texts inputs, Texts outputs,
             std::map<std::string, Attribute> attributes) {
    return Node(op, std::move(inputs), std::move(outputs), std::move(attributes), "ai.onnx.ml");
  }
  Graph& graph() { return graph_; }

  strop_onnx::ModelProto Proto() const {
    strop_onnx::ModelProto proto;
    proto.ParseFromString(graph_.Serialize());
    return proto;
  }
  // A branch that takes its inputs from the graph around it.
  SubgraphBytes Branch() const {
    strop_onnx::ModelProto proto = Proto();
    proto.mutable_graph()->clear_input();
    return {proto.graph().SerializeAsString()};
  }
  SubgraphBytes Body() const { return {Proto().graph().SerializeAsString()}; }

 private:
  static ValueInfo Value(const std::string& name, Shape shape, DType dtype) {
    ValueInfo value{name, dtype, std::move(shape), {}, true};
    for (const int64_t size : value.shape) value.dim_names.push_back(size < 0 ? "batch" : "");
    return value;
  }

  Graph graph_;
  uint64_t seed_ = 0;
};

template <class T>
Tensor Scalar(T value) {
  return Tensor::From<T>({}, std::span<const T>(&value, 1));
}

template <class T>
Tensor List(const std::vector<T>& values) {
  return Tensor::From<T>({static_cast<int64_t>(values.size())}, values);
}

Writer Mlp() {
  Writer w(17);
  w.graph() = TwoDenseLayers();
  return w;
}

Writer ConvNet() {
  Writer w(17);
  w.Input("x", {-1, 2, 8, 8}).Output("y", {-1, 3}).Weight("k", {4, 2, 3, 3}).Weight("b", {4});
  for (const char* name : {"scale", "shift", "mean"}) w.Weight(name, {4});
  w.Const("var", List<float>({1, 2, 3, 4})).Weight("k2", {4, 1, 3, 3}).Weight("d", {3, 64}).Weight("e", {3});
  w.Node("Conv", {"x", "k", "b"}, {"c"}, {{"pads", Whole{1, 1, 1, 1}}, {"kernel_shape", Whole{3, 3}}})
      .Node("BatchNormalization", {"c", "scale", "shift", "mean", "var"}, {"n"}, {{"epsilon", 1e-3f}})
      .Node("Relu", {"n"}, {"r"})
      .Node("MaxPool", {"r"}, {"p"}, {{"kernel_shape", Whole{2, 2}}, {"strides", Whole{2, 2}}})
      .Node("Conv", {"p", "k2"}, {"g"}, {{"group", int64_t{4}}, {"auto_pad", std::string("SAME_UPPER")}})
      .Node("AveragePool", {"g"}, {"a"},
            {{"kernel_shape", Whole{3, 3}}, {"pads", Whole{1, 1, 1, 1}}, {"ceil_mode", int64_t{1}}})
      .Node("Add", {"a", "p"}, {"s"})
      .Node("Flatten", {"s"}, {"f"}, {{"axis", int64_t{1}}})
      .Node("Gemm", {"f", "d", "e"}, {"l"}, {{"transB", int64_t{1}}})
      .Node("Softmax", {"l"}, {"y"}, {{"axis", int64_t{1}}});
  return w;
}

Writer Upsampler() {
  Writer w(17);
  w.Input("x", {1, 4, 4, 4}).Output("y", {1, 3, 32, 32}).Output("z", {1, 3}).Weight("k", {4, 8, 2, 2});
  w.Weight("m", {8}).Weight("n", {8}).Const("scales", List<float>({1, 1, 2, 2})).Weight("q", {2, 3, 1, 1});
  w.Node("ConvTranspose", {"x", "k"}, {"t"}, {{"strides", Whole{2, 2}}, {"kernel_shape", Whole{2, 2}}})
      .Node("InstanceNormalization", {"t", "m", "n"}, {"i"}, {{"epsilon", 1e-3f}})
      .Node("LRN", {"i"}, {"l"}, {{"size", int64_t{3}}})
      .Node("LeakyRelu", {"l"}, {"e"}, {{"alpha", 0.1f}})
      .Node("DepthToSpace", {"e"}, {"d"}, {{"blocksize", int64_t{2}}})
      .Node("ConvTranspose", {"d", "q"}, {"u"}, {{"kernel_shape", Whole{1, 1}}})
      .Node("Resize", {"u", "", "scales"}, {"v"}, {{"mode", std::string("nearest")}})
      .Node("SpaceToDepth", {"v"}, {"o"}, {{"blocksize", int64_t{2}}})
      .Node("DepthToSpace", {"o"}, {"y"}, {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}})
      .Node("GlobalMaxPool", {"y"}, {"h"})
      .Node("Squeeze", {"h", "axes"}, {"z"})
      .Ints("axes", {2, 3});
  return w;
}

Writer Quantized() {
  Writer w(21);
  w.Input("x", {-1, 2, 6, 6}).Output("y", {-1, 4});
  w.Const("s", Scalar(0.02f))
      .Const("z", Scalar<uint8_t>(128))
      .Const("ws", List<float>({.01f, .02f, .03f, .04f}));
  w.Const("wz", List<int8_t>({0, 0, 0, 0}))
      .Const("k", Tensor::From<int8_t>({4, 2, 3, 3}, std::vector<int8_t>(72, 5)));
  w.Const("d", Tensor::From<int8_t>({4, 4}, std::vector<int8_t>(16, 3)));
  w.Const("ds", Tensor::From<float>({2, 4}, std::vector<float>(8, .1f)));
  w.graph().packed4.insert("d");
  w.Node("QuantizeLinear", {"x", "s", "z"}, {"xq"})
      .Node("DequantizeLinear", {"xq", "s", "z"}, {"xf"})
      .Node("DequantizeLinear", {"k", "ws", "wz"}, {"kf"}, {{"axis", int64_t{0}}})
      .Node("Conv", {"xf", "kf"}, {"c"}, {{"kernel_shape", Whole{3, 3}}})
      .Node("Relu", {"c"}, {"r"})
      .Node("QuantizeLinear", {"r", "s", "z"}, {"rq"})
      .Node("DequantizeLinear", {"rq", "s", "z"}, {"rf"})
      .Node("GlobalAveragePool", {"rf"}, {"g"})
      .Node("Flatten", {"g"}, {"f"})
      .Node("DequantizeLinear", {"d", "ds"}, {"df"}, {{"axis", int64_t{0}}, {"block_size", int64_t{2}}})
      .Node("MatMul", {"f", "df"}, {"m"})
      .Node("DynamicQuantizeLinear", {"m"}, {"a", "b", "e"})
      .Node("DequantizeLinear", {"a", "b", "e"}, {"y"});
  return w;
}

Writer Transformer() {
  Writer w(20);
  w.Input("ids", {-1, 4}, DType::kI64).Output("y", {-1, 4, 8});
  w.Weight("table", {10, 8}).Weight("qkv", {8, 24}).Weight("o", {8, 8}).Weight("g", {8}).Weight("b", {8});
  w.Weight("up", {8, 16}).Weight("down", {16, 8}).Ints("heads", {0, 0, 2, 4}).Ints("back", {0, 0, 8});
  w.Const("root", Scalar(0.5f)).Ints("thirds", {8, 8, 8});
  w.Node("Clip", {"ids", "lo", "hi"}, {"safe"}).Int("lo", 0).Int("hi", 9);
  w.Node("Gather", {"table", "safe"}, {"x"})
      .Node("LayerNormalization", {"x", "g", "b"}, {"n"}, {{"axis", int64_t{-1}}})
      .Node("MatMul", {"n", "qkv"}, {"p"})
      .Node("Split", {"p", "thirds"}, {"q0", "k0", "v0"}, {{"axis", int64_t{2}}});
  for (const std::string name : {"q", "k", "v"}) {
    w.Node("Reshape", {name + "0", "heads"}, {name + "1"});
    w.Node("Transpose", {name + "1"}, {name},
           {{"perm", name == "k" ? Whole{0, 2, 3, 1} : Whole{0, 2, 1, 3}}});
  }
  w.Node("MatMul", {"q", "k"}, {"s"})
      .Node("Mul", {"s", "root"}, {"t"})
      .Node("Softmax", {"t"}, {"a"}, {{"axis", int64_t{-1}}})
      .Node("MatMul", {"a", "v"}, {"c"})
      .Node("Transpose", {"c"}, {"d"}, {{"perm", Whole{0, 2, 1, 3}}})
      .Node("Reshape", {"d", "back"}, {"e"})
      .Node("MatMul", {"e", "o"}, {"f"})
      .Node("Add", {"f", "x"}, {"h"})
      .Node("MatMul", {"h", "up"}, {"i"})
      .Node("Gelu", {"i"}, {"j"})
      .Node("MatMul", {"j", "down"}, {"l"})
      .Node("Add", {"l", "h"}, {"y"});
  return w;
}

// Shapes that are computed, as exporters write them.
Writer ShapeMaths() {
  Writer w(17);
  w.Input("x", {-1, 3, 4}).Output("y", {-1, 12}).Output("e", {2, 3, 4}).Output("k", {-1, 3, 2});
  w.Output("i", {-1, 3, 2}, DType::kI64).Output("p", {-1, 5, 4}).Output("t", {-1, 6, 4});
  w.Output("n", {3, -1}, DType::kI64).Output("c", {4}, DType::kI64).Output("u", {-1, 3, 4});
  w.Int("zero", 0).Ints("first", {0}).Ints("one", {1}).Ints("rest", {-1}).Ints("many", {2, 3, 4});
  w.Ints("two", {2}).Ints("pads", {0, 1, 0, 0, 1, 0}).Ints("reps", {1, 2, 1}).Int("four", 4).Int("step", 1);
  w.Ints("from", {0, 1}).Ints("until", {3, 100}).Ints("axes", {1, 2}).Const("fill", Scalar(1.0f));
  w.Const("index", Tensor::From<int64_t>({1, 3}, Whole{0, 1, 2}));
  w.Const("update", Tensor::From<float>({1}, Reals{7}));
  w.Const("ones", Tensor::From<float>({1, 3, 4}, Reals(12, 1)));
  w.Node("Shape", {"x"}, {"shape"})
      .Node("Gather", {"shape", "zero"}, {"batch"})
      .Node("Unsqueeze", {"batch", "first"}, {"rows"})
      .Node("Concat", {"rows", "rest"}, {"target"}, {{"axis", int64_t{0}}})
      .Node("Reshape", {"x", "target"}, {"y"})
      .Node("ConstantOfShape", {"many"}, {"zeros"}, {{"value", Tensor::From<float>({1}, Reals{2})}})
      .Node("Expand", {"ones", "many"}, {"wide"})
      .Node("Add", {"zeros", "wide"}, {"e"})
      .Node("TopK", {"x", "two"}, {"k", "i"}, {{"axis", int64_t{-1}}})
      .Node("Pad", {"x", "pads", "fill"}, {"p"}, {{"mode", std::string("constant")}})
      .Node("Tile", {"x", "reps"}, {"t"})
      .Node("NonZero", {"x"}, {"n"})
      .Node("Range", {"zero", "four", "step"}, {"c"})
      .Node("Slice", {"x", "from", "until", "axes"}, {"cut"})
      .Node("ReduceMean", {"cut"}, {"mean"}, {{"axes", Whole{1, 2}}, {"keepdims", int64_t{1}}})
      .Node("Greater", {"x", "mean"}, {"over"})
      .Node("Where", {"over", "x", "mean"}, {"chosen"})
      .Node("CumSum", {"chosen", "one0"}, {"sum"})
      .Int("one0", 1)
      .Node("ScatterND", {"sum", "index", "update"}, {"u"});
  return w;
}

Writer Elements() {
  Writer w(18);
  w.Input("x", {2, 3}).Input("h", {2, 3}, DType::kF16).Input("j", {2, 3}, DType::kI32);
  w.Output("y", {2, 3}, DType::kF64).Output("o", {2, 3, 4}).Output("m", {2}, DType::kI64);
  w.Output("q", {2, 3}).Output("r", {3, 2}, DType::kI32).Ints("last", {1}).Int("depth", 4);
  w.Const("pair", List<float>({0, 1})).Const("power", Scalar(2.0f)).Const("three", Scalar<int32_t>(3));
  w.Node("Cast", {"h"}, {"hf"}, {{"to", int64_t{1}}})
      .Node("Pow", {"x", "power"}, {"a"})
      .Node("Sqrt", {"a"}, {"b"})
      .Node("Erf", {"b"}, {"c"})
      .Node("Div", {"c", "hf"}, {"d"})
      .Node("Cast", {"d"}, {"y"}, {{"to", int64_t{11}}})
      .Node("Mod", {"j", "three"}, {"k"})
      .Node("OneHot", {"k", "depth", "pair"}, {"o"}, {{"axis", int64_t{-1}}})
      .Node("ArgMax", {"x"}, {"m"}, {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}})
      .Node("ReduceSum", {"x", "last"}, {"s"})
      .Node("Max", {"x", "s", "hf"}, {"t"})
      .Node("Einsum", {"t", "x"}, {"v"}, {{"equation", std::string("ab,ab->ab")}})
      .Node("Trilu", {"v"}, {"q"})
      .Node("Transpose", {"k"}, {"r"});
  return w;
}

Writer Recurrent() {
  Writer w(17);
  w.Input("x", {3, 2, 4}).Output("y", {3, 1, 2, 5}).Output("yh", {1, 2, 5}).Output("g", {3, 1, 2, 5});
  w.Output("n", {3, 1, 2, 5}).Weight("w", {1, 20, 4}).Weight("r", {1, 20, 5}).Weight("b", {1, 40});
  w.Weight("gw", {1, 15, 4}).Weight("gr", {1, 15, 5}).Weight("nw", {1, 5, 4}).Weight("nr", {1, 5, 5});
  const std::map<std::string, Attribute> hidden = {{"hidden_size", int64_t{5}}};
  w.Node("LSTM", {"x", "w", "r", "b"}, {"y", "yh"}, hidden)
      .Node("GRU", {"x", "gw", "gr"}, {"g"},
            {{"hidden_size", int64_t{5}}, {"linear_before_reset", int64_t{1}}})
      .Node("RNN", {"x", "nw", "nr"}, {"n"}, hidden);
  return w;
}

Writer Branches() {
  Writer then(17), otherwise(17), body(17), w(17);
  then.Input("x", {2, 3}).Output("t", {2, 3}).Node("Relu", {"x"}, {"t"});
  otherwise.Input("x", {2, 3}).Output("f", {2, 3}).Const("c", Scalar(2.0f)).Node("Mul", {"x", "c"}, {"f"});
  body.Input("at", {}, DType::kI64).Input("go", {}, DType::kBool).Input("sum", {2, 3});
  body.Output("on", {}, DType::kBool).Output("next", {2, 3}).Output("seen", {2, 3});
  body.Int("last", 4).Node("Less", {"at", "last"}, {"less"}).Node("And", {"less", "go"}, {"on"});  // it ends
  body.Node("Add", {"sum", "sum"}, {"next"}).Node("Neg", {"next"}, {"seen"});
  w.Input("n", {}, DType::kI64).Output("v", {2, 3}).Output("u", {-1, 2, 3});
  w.Input("x", {2, 3}).Input("which", {}, DType::kBool).Output("y", {2, 3}).Output("z", {3, 2, 3});
  w.Int("trips", 3).Const("true", Scalar(true));
  w.Node("If", {"which"}, {"i"}, {{"then_branch", then.Branch()}, {"else_branch", otherwise.Branch()}})
      .Node("Loop", {"trips", "true", "i"}, {"y", "z"}, {{"body", body.Body()}})
      .Node("Loop", {"n", "true", "x"}, {"v", "u"}, {{"body", body.Body()}});
  return w;
}

// What only OpenVINO knows: nothing of ours looks at their shapes.
Writer Detector() {
  Writer w(17);
  w.Input("x", {1, 2, 6, 6}).Input("boxes", {1, 4, 4}).Input("scores", {1, 1, 4}).Input("grid", {1, 3, 3, 2});
  w.Output("r", {2, 2, 2, 2})
      .Output("s", {-1, 3}, DType::kI64)
      .Output("g", {1, 2, 3, 3})
      .Output("v", {1, 2, 6, 6});
  w.Const("rois", Tensor::From<float>({2, 4}, Reals{0, 0, 4, 4, 1, 1, 5, 5})).Ints("batch", {0, 0});
  w.Int("most", 3).Const("iou", Scalar(.5f)).Const("least", Scalar(-9.f)).Ints("lengths", {2});
  w.Node("RoiAlign", {"x", "rois", "batch"}, {"r"},
         {{"output_height", int64_t{2}}, {"output_width", int64_t{2}}, {"sampling_ratio", int64_t{2}}})
      .Node("NonMaxSuppression", {"boxes", "scores", "most", "iou", "least"}, {"s"})
      .Node("GridSample", {"x", "grid"}, {"g"}, {{"mode", std::string("bilinear")}})
      .Node("ReverseSequence", {"x", "lengths"}, {"v"},
            {{"batch_axis", int64_t{0}}, {"time_axis", int64_t{1}}});
  return w;
}

Writer Indexing() {
  constexpr bool kPick[] = {true, false, true};
  Writer w(18);
  w.Input("x", {3, 4})
      .Input("i", {2, 1}, DType::kI64)
      .Output("g", {2, 4})
      .Output("e", {2, 1})
      .Output("s", {3, 4});
  w.Output("h", {3, 4}).Output("c", {-1, 4}).Output("u", {-1}).Output("b", {4, 3}).Output("t", {3, 4});
  w.Const("pick", Tensor::From<bool>({3}, kPick)).Const("new", Tensor::From<float>({2, 1}, Reals{7, 8}));
  w.Ints("roll", {3, 4});
  w.Node("GatherND", {"x", "i"}, {"g"})
      .Node("GatherElements", {"x", "i"}, {"e"}, {{"axis", int64_t{0}}})
      .Node("ScatterElements", {"x", "i", "new"}, {"s"}, {{"axis", int64_t{1}}})
      .Node("Hardmax", {"x"}, {"h"})
      .Node("Compress", {"x", "pick"}, {"c"}, {{"axis", int64_t{0}}})
      .Node("Unique", {"x"}, {"u"})
      .Node("EyeLike", {"x"}, {"eye"}, {{"k", int64_t{1}}})
      .Node("Transpose", {"eye"}, {"b"})
      .Node("Reshape", {"x", "roll"}, {"rolled"})
      .Node("PRelu", {"rolled", "slope"}, {"t"})
      .Weight("slope", {4});
  return w;
}

Writer Integers() {
  Writer w(17);
  w.Input("x", {1, 2, 5, 5}, DType::kU8).Input("a", {2, 3}, DType::kU8).Output("m", {2, 4}, DType::kI32);
  w.Output("q", {1, 3, 3, 3}, DType::kU8).Output("l", {2, 4}, DType::kU8).Const("s", Scalar(.1f));
  w.Const("z", Scalar<uint8_t>(3)).Const("wz", Scalar<int8_t>(1));
  w.Const("k", Tensor::From<int8_t>({3, 2, 3, 3}, std::vector<int8_t>(54, 2)));
  w.Const("b", Tensor::From<int8_t>({3, 4}, std::vector<int8_t>(12, 2)));
  w.Node("MatMulInteger", {"a", "b", "z", "wz"}, {"m"})
      .Node("QLinearConv", {"x", "s", "z", "k", "s", "wz", "s", "z"}, {"q"})
      .Node("QLinearMatMul", {"a", "s", "z", "b", "s", "wz", "s", "z"}, {"l"});
  return w;
}

Writer External() {
  Writer w(17);
  w.Input("x", {-1, 12}).Output("y", {-1, 8}).Weight("w", {12, 8}).Node("MatMul", {"x", "w"}, {"y"});
  return w;
}

// Two trees: a split with two leaves, and one leaf.
std::map<std::string, Attribute> Trees(const std::string& prefix) {
  return {
      {"nodes_treeids", Whole{0, 0, 0, 1}},      {"nodes_nodeids", Whole{0, 1, 2, 0}},
      {"nodes_featureids", Whole{1, 0, 0, 0}},   {"nodes_truenodeids", Whole{1, 0, 0, 0}},
      {"nodes_falsenodeids", Whole{2, 0, 0, 0}}, {"nodes_missing_value_tracks_true", Whole{1, 0, 0, 0}},
      {"nodes_values", Reals{.5f, 0, 0, 0}},     {"nodes_modes", Texts{"BRANCH_LEQ", "LEAF", "LEAF", "LEAF"}},
      {prefix + "_treeids", Whole{0, 0, 1}},     {prefix + "_nodeids", Whole{1, 2, 0}},
      {prefix + "_ids", Whole{0, 1, 1}},         {prefix + "_weights", Reals{1, -2, 3}}};
}

Writer Forest() {
  Writer w(17);
  auto classifier = Trees("class");
  classifier["classlabels_int64s"] = Whole{5, 7};
  classifier["post_transform"] = std::string("SOFTMAX");
  auto regressor = Trees("target");
  regressor["n_targets"] = int64_t{2};
  regressor["aggregate_function"] = std::string("AVERAGE");
  regressor["base_values"] = Reals{.5f, 1};
  w.Input("x", {-1, 4}).Output("l", {-1}, DType::kI64).Output("p", {-1, 2}).Output("y", {-1, 2});
  w.Ml("TreeEnsembleClassifier", {"x"}, {"l", "p"}, std::move(classifier));
  w.Ml("TreeEnsembleRegressor", {"x"}, {"y"}, std::move(regressor));
  return w;
}

Writer NewForest() {
  Writer w(17);
  w.Input("x", {-1, 4}).Output("y", {-1, 2});
  w.Ml("TreeEnsemble", {"x"}, {"y"},
       {{"n_targets", int64_t{2}},
        {"tree_roots", Whole{0}},
        {"nodes_featureids", Whole{0, 3}},
        {"nodes_splits", List<float>({.5f, -1})},
        {"nodes_modes", List<uint8_t>({0, 1})},
        {"nodes_truenodeids", Whole{1, 0}},
        {"nodes_trueleafs", Whole{0, 1}},
        {"nodes_falsenodeids", Whole{2, 1}},
        {"nodes_falseleafs", Whole{1, 1}},
        {"leaf_targetids", Whole{0, 1, 0}},
        {"leaf_weights", List<float>({1, 2, 3})}});
  return w;
}

Writer Tabular() {
  Writer w(17);
  w.Input("x", {-1, 3}).Input("c", {-1, 1}, DType::kI64).Output("l", {-1}, DType::kI64).Output("p", {-1, 2});
  w.Output("r", {-1, 1}).Output("o", {-1, 1, 3}).Output("e", {-1, 1}, DType::kI64).Output("b", {-1, 3});
  w.Ml("Imputer", {"x"}, {"i"}, {{"imputed_value_floats", Reals{1, 2, 3}}, {"replaced_value_float", 0.0f}})
      .Ml("Scaler", {"i"}, {"s"}, {{"offset", Reals{1, 0, 2}}, {"scale", Reals{2, 1, .5f}}})
      .Ml("Normalizer", {"s"}, {"n"}, {{"norm", std::string("L2")}})
      .Ml("LinearClassifier", {"n"}, {"l", "p"},
          {{"coefficients", Reals{1, 2, 3, -1, -2, -3}},
           {"intercepts", Reals{.1f, .2f}},
           {"classlabels_ints", Whole{3, 4}},
           {"post_transform", std::string("SOFTMAX")}})
      .Ml("LinearRegressor", {"n"}, {"r"}, {{"coefficients", Reals{1, 2, 3}}, {"intercepts", Reals{1}}})
      .Ml("OneHotEncoder", {"c"}, {"o"}, {{"cats_int64s", Whole{0, 1, 2}}})
      .Ml("LabelEncoder", {"c"}, {"e"},
          {{"keys_int64s", Whole{0, 1}}, {"values_int64s", Whole{9, 8}}, {"default_int64", int64_t{-1}}})
      .Ml("Binarizer", {"x"}, {"b"}, {{"threshold", .5f}});
  return w;
}

Specimen WithWeightsOutside() {
  Specimen specimen{"external", External().Proto()};
  auto& tensor = *specimen.model.mutable_graph()->mutable_initializer(0);
  tensor.clear_raw_data();
  tensor.set_data_location(strop_onnx::TensorProto::EXTERNAL);
  const std::pair<const char*, std::string> entries[] = {
      {"location", "weights.bin"}, {"offset", "64"}, {"length", std::to_string(kWeightBytes)}};
  for (const auto& [key, value] : entries) {
    auto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  }
  return specimen;
}

}  // namespace

std::vector<Specimen> MakeCorpus() {
  return {{"mlp", Mlp().Proto()},
          {"conv", ConvNet().Proto()},
          {"upsampler", Upsampler().Proto()},
          {"quantized", Quantized().Proto()},
          {"transformer", Transformer().Proto()},
          {"shapes", ShapeMaths().Proto()},
          {"elements", Elements().Proto()},
          {"recurrent", Recurrent().Proto()},
          {"detector", Detector().Proto()},
          {"indexing", Indexing().Proto()},
          {"integers", Integers().Proto()},
          {"branches", Branches().Proto()},
          {"forest", Forest().Proto()},
          {"new forest", NewForest().Proto()},
          {"tabular", Tabular().Proto()},
          WithWeightsOutside()};
}

void PlantFiles(const std::filesystem::path& folder) {
  WriteFileAtomically(folder / "weights.bin", std::string(64 + kWeightBytes, '\x3d'));
  std::filesystem::create_symlink("/etc/passwd", folder / "link.bin");
}

}  // namespace strop::engine::fuzz
