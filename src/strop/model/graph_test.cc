#include "strop/model/graph.h"

#include <array>
#include <filesystem>
#include <functional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/test_folder.h"
#include "strop/model/onnx_types.h"
#include "strop/model/test_graph.h"
#include "strop_onnx.pb.h"

namespace strop::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Code CodeOf(const std::function<void()>& act, std::string* message = nullptr) {
  try {
    act();
  } catch (const Error& error) {
    if (message) *message = error.what();
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Code::kInternal;
}

// The Gemm and Relu that most tests here begin with: y = relu(x @ w + b).
Graph Dense() {
  Graph graph = NewGraph(17, {{"x", DType::kF32, {-1, 2}, {"batch", ""}}},
                         {{"y", DType::kF32, {-1, 3}, {"batch", ""}}});
  graph.initializers["w"] = Floats({2, 3}, {1, 2, 3, 4, 5, 6});
  graph.initializers["b"] = Floats({3}, {-20, 0, 1});
  graph.nodes = {MakeNode("Gemm", {"x", "w", "b"}, {"h"}), MakeNode("Relu", {"h"}, {"y"})};
  return graph;
}

TEST(Graph, RoundTripKeepsEverything) {
  Graph graph = Dense();
  graph.metadata["strop.penultimate"] = "x";
  graph.opsets["com.example"] = 3;
  graph.nodes[0].attributes = {{"alpha", 0.5f},
                               {"transB", int64_t{0}},
                               {"note", std::string("a\0b", 3)},
                               {"ints", std::vector<int64_t>{1, -2}},
                               {"floats", std::vector<float>{1.5f}},
                               {"texts", std::vector<std::string>{"p", "q"}},
                               {"tensor", Floats({1}, {7})}};
  const Graph copy = Graph::Parse(graph.Serialize());
  EXPECT_EQ(copy.name, graph.name);
  EXPECT_EQ(copy.opsets, graph.opsets);
  EXPECT_EQ(copy.metadata, graph.metadata);
  ASSERT_EQ(copy.inputs.size(), 1u);
  EXPECT_EQ(copy.inputs[0].shape, (Shape{-1, 2}));
  EXPECT_THAT(copy.inputs[0].dim_names, ElementsAre("batch", ""));
  ASSERT_EQ(copy.nodes.size(), 2u);
  EXPECT_EQ(copy.nodes[0].Float("alpha", 0), 0.5f);
  EXPECT_EQ(copy.nodes[0].Text("note", ""), std::string("a\0b", 3));
  EXPECT_THAT(copy.nodes[0].Ints("ints"), ElementsAre(1, -2));
  EXPECT_THAT(std::get<std::vector<std::string>>(copy.nodes[0].attributes.at("texts")),
              ElementsAre("p", "q"));
  EXPECT_THAT(Values(std::get<Tensor>(copy.nodes[0].attributes.at("tensor"))), ElementsAre(7));
  EXPECT_THAT(Values(copy.initializers.at("b")), ElementsAre(-20, 0, 1));
  EXPECT_EQ(copy.Serialize(), graph.Serialize());
}

TEST(Graph, FourBitWeightsStayFourBit) {
  Graph graph = Dense();
  const std::array<int8_t, 3> values = {-8, 7, -1};
  graph.initializers["b4"] = Tensor::From<int8_t>({3}, values);
  graph.packed4.insert("b4");
  const Graph copy = Graph::Parse(graph.Serialize());
  EXPECT_TRUE(copy.packed4.contains("b4"));
  EXPECT_EQ(copy.initializers.at("b4").dtype(), DType::kI8);
  EXPECT_THAT(Values(copy.initializers.at("b4")), ElementsAre(-8, 7, -1));
}

TEST(Graph, EmptyTensorsAndScalarsRoundTrip) {
  Graph graph = Dense();
  graph.initializers["none"] = Floats({0, 4}, {});
  graph.initializers["scalar"] = Floats({}, {3});
  const Graph copy = Graph::Parse(graph.Serialize());
  EXPECT_EQ(copy.initializers.at("none").shape(), (Shape{0, 4}));
  EXPECT_EQ(copy.initializers.at("scalar").shape(), Shape{});
}

TEST(Graph, SaveAndLoad) {
  const auto path = std::filesystem::temp_directory_path() / "strop_graph_test.onnx";
  Dense().Save(path);
  EXPECT_EQ(Graph::Load(path).Serialize(), Dense().Serialize());
  std::filesystem::remove(path);
  std::string message;
  EXPECT_EQ(CodeOf([&] { Graph::Load(path); }, &message), Code::kNotFound);
  EXPECT_THAT(message, HasSubstr("strop_graph_test.onnx"));
}

TEST(Graph, RefusesWhatIsNotOnnx) {
  std::string message;
  EXPECT_EQ(CodeOf([] { Graph::Parse("", "m.onnx"); }, &message), Code::kCorrupt);
  EXPECT_EQ(message, "m.onnx is not a valid ONNX model: it is empty");
  EXPECT_EQ(CodeOf([] { Graph::Parse("PAR1 and more", "m.onnx"); }, &message), Code::kCorrupt);
  const std::string bytes = Dense().Serialize();
  EXPECT_EQ(CodeOf([&] { Graph::Parse(bytes.substr(0, bytes.size() / 2)); }, &message), Code::kCorrupt);
  EXPECT_THAT(message, HasSubstr("cut short"));
}

TEST(Graph, ValidateNamesTheNode) {
  std::string message;
  Graph graph = Dense();
  graph.nodes[1].inputs[0] = "nothing";
  EXPECT_EQ(CodeOf([&] { graph.Validate(); }, &message), Code::kInvalidArgument);
  EXPECT_THAT(message, HasSubstr("Relu"));
  EXPECT_THAT(message, HasSubstr("nothing"));
  graph = Dense();
  std::swap(graph.nodes[0], graph.nodes[1]);
  CodeOf([&] { graph.Validate(); }, &message);
  EXPECT_THAT(message, HasSubstr("made only later"));
  graph = Dense();
  graph.nodes[1].outputs[0] = "h";
  CodeOf([&] { graph.Validate(); }, &message);
  EXPECT_THAT(message, HasSubstr("already made"));
  graph = Dense();
  graph.outputs[0].name = "z";
  CodeOf([&] { graph.Validate(); }, &message);
  EXPECT_THAT(message, HasSubstr("the output z"));
}

TEST(Graph, Lookups) {
  const Graph graph = Dense();
  EXPECT_EQ(graph.Producer("y"), &graph.nodes[1]);
  EXPECT_EQ(graph.Producer("x"), nullptr);
  EXPECT_THAT(graph.Consumers("h"), ElementsAre(&graph.nodes[1]));
  EXPECT_EQ(graph.FreshName("h"), "h_2");
  EXPECT_EQ(graph.FreshName("q"), "q");
  std::string message;
  EXPECT_EQ(CodeOf([&] { Graph(Dense()).nodes[0].Int("alpha", 1), Graph().opset(); }, &message),
            Code::kInvalidArgument);
}

TEST(Graph, AttributeOfAnotherKindIsNamed) {
  Graph graph = Dense();
  graph.nodes[0].attributes["alpha"] = int64_t{1};
  std::string message;
  EXPECT_EQ(CodeOf([&] { graph.nodes[0].Float("alpha", 1); }, &message), Code::kInvalidArgument);
  EXPECT_THAT(message, HasSubstr("the attribute alpha is not a float"));
}

TEST(Penultimate, IsWhatTheLastWeightedLayerReads) {
  Graph graph = Dense();
  EXPECT_EQ(Penultimate(graph), "x");
  graph.initializers["w2"] = Floats({3, 1}, {1, 1, 1});
  graph.nodes.push_back(MakeNode("MatMul", {"y", "w2"}, {"logits"}));
  graph.nodes.push_back(MakeNode("Softmax", {"logits"}, {"p"}));
  graph.outputs[0].name = "p";
  EXPECT_EQ(Penultimate(graph), "y");
  graph.metadata["strop.penultimate"] = "h";
  EXPECT_EQ(Penultimate(graph), "h");
}

TEST(Penultimate, SeesThroughDequantizedWeightsAndPastProductsOfActivations) {
  Graph graph = Dense();
  graph.initializers["scale"] = Floats({}, {0.5f});
  graph.nodes.insert(graph.nodes.begin(), MakeNode("DequantizeLinear", {"w", "scale"}, {"w_float"}));
  graph.nodes[1].inputs[1] = "w_float";
  graph.nodes.push_back(MakeNode("MatMul", {"y", "h"}, {"z"}));  // attention, not a layer
  graph.outputs[0].name = "z";
  EXPECT_EQ(Penultimate(graph), "x");
}

TEST(OnnxTypes, NumbersOfTheSpecification) {
  EXPECT_EQ(OnnxType(DType::kF32), 1);
  EXPECT_EQ(OnnxType(DType::kI64), 7);
  EXPECT_EQ(FromOnnxType(2), DType::kU8);
  EXPECT_EQ(FromOnnxType(16), std::nullopt);
  EXPECT_EQ(OnnxTypeName(16), "bfloat16");
  EXPECT_EQ(OnnxTypeName(99), "type 99");
}

TEST(Graph, AnOperatorHasTheInputsAndOutputsThatItTakes) {
  const auto refusal = [](Node node, int64_t opset = 17) {
    Graph graph = Dense();
    graph.opsets[""] = opset;
    graph.nodes[1] = std::move(node);
    std::string message;
    EXPECT_EQ(CodeOf([&] { graph.Validate(); }, &message), Code::kInvalidArgument);
    return message;
  };
  EXPECT_THAT(refusal(MakeNode("Relu", {}, {"y"})), HasSubstr("(Relu): it has 0 inputs, expected 1"));
  EXPECT_THAT(refusal(MakeNode("Relu", {"h", "h"}, {"y"})), HasSubstr("it has 2 inputs, expected 1"));
  EXPECT_THAT(refusal(MakeNode("Relu", {"h"}, {"y", "z"})), HasSubstr("it has 2 outputs, expected 1"));
  EXPECT_THAT(refusal(MakeNode("Concat", {}, {"y"})), HasSubstr("it has 0 inputs, expected 1 or more"));
  EXPECT_THAT(refusal(MakeNode("Add", {"h", ""}, {"y"})), HasSubstr("its input at position 1 is missing"));
  EXPECT_THAT(refusal(MakeNode("Concat", {"h", ""}, {"y"})), HasSubstr("its input at position 1 is missing"));
  EXPECT_THAT(refusal(MakeNode("Unsqueeze", {"h"}, {"y"}), 13), HasSubstr("it has 1 inputs, expected 2"));
  Graph older = Dense();
  older.opsets[""] = 11;  // in which the axes are an attribute
  older.nodes[1] = MakeNode("Unsqueeze", {"h"}, {"y"});
  older.Validate();
  older.nodes[1] = MakeNode("Clip", {"h", "", "b"}, {"y"});  // optional inputs may be left out
  older.Validate();
}

TEST(Graph, AnOpsetThatCannotBeIsRefused) {
  for (const int64_t opset : {int64_t{0}, int64_t{-1}, int64_t{1} << 40}) {
    Graph graph = Dense();
    graph.opsets["com.example"] = opset;
    std::string message;
    EXPECT_EQ(CodeOf([&] { Graph::Parse(graph.Serialize()); }, &message), Code::kCorrupt);
    EXPECT_THAT(message, HasSubstr(std::to_string(opset) + " of \"com.example\""));
  }
}

// Dense, with w in the file `location`.
strop_onnx::ModelProto WithWeightsIn(const std::string& location) {
  strop_onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(Dense().Serialize()));
  auto& tensor = *proto.mutable_graph()->mutable_initializer(1);
  EXPECT_EQ(tensor.name(), "w");
  tensor.clear_raw_data();
  tensor.set_data_location(strop_onnx::TensorProto::EXTERNAL);
  auto& entry = *tensor.add_external_data();
  entry.set_key("location");
  entry.set_value(location);
  return proto;
}

TEST(Graph, ExternalDataIsNotReadThroughALinkOutOfTheFolder) {
  const TestFolder folder, outside;
  WriteFileAtomically(outside.path() / "secret", std::string(24, 's'));
  std::filesystem::create_symlink(outside.path() / "secret", folder.path() / "link");
  std::filesystem::create_directory_symlink(outside.path(), folder.path() / "sub");
  for (const std::string location : {"link", "sub/secret"}) {
    const std::filesystem::path model = folder.path() / "m.onnx";
    WriteFileAtomically(model, WithWeightsIn(location).SerializeAsString());
    std::string message;
    EXPECT_EQ(CodeOf([&] { Graph::Load(model); }, &message), Code::kCorrupt);
    EXPECT_THAT(message, HasSubstr("is a link that leaves the model's folder"));
  }
}

// As the cache of a model hub has them: snapshots/m.onnx -> blobs/1, snapshots/weights -> blobs/2.
TEST(Graph, AModelThatIsALinkHasItsExternalDataBesideWhatItLeadsTo) {
  const TestFolder folder;
  const std::filesystem::path blobs = folder.path() / "blobs", snapshots = folder.path() / "snapshots";
  std::filesystem::create_directories(snapshots);
  WriteFileAtomically(blobs / "1", WithWeightsIn("weights").SerializeAsString());
  WriteFileAtomically(blobs / "2", std::string(24, '\0'));
  std::filesystem::create_symlink("../blobs/1", snapshots / "m.onnx");
  std::filesystem::create_symlink("../blobs/2", snapshots / "weights");
  EXPECT_EQ(Graph::Load(snapshots / "m.onnx").initializers.at("w").shape(), (Shape{2, 3}));
}

TEST(Graph, TensorsAndNodesOfSubgraphsAreChecked) {
  const auto refusal = [](const std::function<void(strop_onnx::GraphProto&)>& damage) {
    strop_onnx::ModelProto inner = WithWeightsIn("weights");
    damage(*inner.mutable_graph());
    Graph graph = Dense();
    graph.inputs.push_back({"c", DType::kBool, {}, {}, true});
    graph.nodes[1] =
        MakeNode("If", {"c"}, {"y"}, {{"then_branch", SubgraphBytes{inner.graph().SerializeAsString()}}});
    std::string message;
    const Code code = CodeOf([&] { Graph::Parse(graph.Serialize()); }, &message);
    return fmt::format("{}: {}", CodeName(code), message);
  };
  EXPECT_THAT(refusal([](auto&) {}),
              HasSubstr("unsupported: model (a subgraph of node If_y): the initializer w "
                        "lies in external data"));
  EXPECT_THAT(refusal([](auto& graph) {
                auto& tensor = *graph.mutable_initializer(1);
                tensor.clear_data_location();
                tensor.set_raw_data("abc");
              }),
              HasSubstr("holds 3 bytes, expected 24"));
  EXPECT_THAT(refusal([](auto& graph) {
                graph.clear_initializer();
                graph.mutable_node(1)->clear_input();
              }),
              HasSubstr("(Relu): it has 0 inputs, expected 1"));
  EXPECT_THAT(refusal([](auto& graph) {
                graph.mutable_initializer(1)->clear_data_location();
                graph.mutable_initializer(1)->set_raw_data(std::string(24, '\0'));
                graph.mutable_node(1)->set_op_type("RNN");  // of w as W and R
                graph.mutable_node(1)->add_input("w");
                graph.mutable_node(1)->add_input("w");
              }),
              HasSubstr("(RNN): the input at position 1 is [2,3], expected [1,?,?]"));
  EXPECT_THAT(refusal([](auto& graph) {
                auto& trips = *graph.mutable_initializer(1);
                trips.clear_data_location();
                trips.clear_dims();
                trips.set_data_type(strop_onnx::TensorProto::INT64);
                trips.set_raw_data(std::string(8, '\0'));
                auto& loop = *graph.mutable_node(1);
                loop.set_op_type("Loop");
                loop.clear_input();
                for (const char* input : {"w", "", "x"}) loop.add_input(input);
              }),
              HasSubstr("the Loop Relu_y never goes round"));
}

// Whether a value is constant was once asked anew on each of the 2^60 ways through this graph.
TEST(Graph, ThePenultimateOfManyBranchesIsFoundAtOnce) {
  Graph graph = Dense();
  graph.nodes.clear();
  std::string last = "w";
  for (int i = 0; i < 60; ++i) {
    const std::string next = "w" + std::to_string(i);
    graph.nodes.push_back(MakeNode("Add", {last, last}, {next}));
    last = next;
  }
  graph.nodes.push_back(MakeNode("MatMul", {"x", last}, {"y"}));
  EXPECT_EQ(Penultimate(graph), "x");
}

}  // namespace
}  // namespace strop::model
