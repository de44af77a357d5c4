#include "strop/engine/layers/move.h"

#include <numeric>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/engine/kernels/transpose/transpose.h"
#include "strop/engine/layers/against_reference.h"
#include "strop/engine/layers/permute.h"
#include "strop/engine/layers/search.h"
#include "strop/model/onnx_types.h"

namespace strop::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Ints = std::vector<int64_t>;

std::vector<std::string> Found(const model::Graph& graph, const std::set<std::string>& kept) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  Search search(graph, values, kept);
  std::vector<std::string> names;
  for (const MoveLayer& layer : FindMoveLayers(search)) names.push_back(graph.nodes[layer.node].name);
  return names;
}

// x [batch, 6, 8] -> MatMul by w -> h [batch, 6, 12].
model::Graph Begun() {
  model::Graph graph;
  graph.name = "move";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"x", DType::kF32, {-1, 6, 8}, {"batch", "", ""}}};
  graph.initializers["w"] = RandomF32({8, 12}, 1);
  graph.initializers["w2"] = RandomF32({12, 3}, 2);
  graph.nodes = {MakeNode("MatMul", "first", {"x", "w"}, {"h"})};
  return graph;
}

void End(model::Graph& graph, const std::vector<std::string>& outputs) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  for (const std::string& output : outputs) graph.outputs.push_back(values.at(output));
}

// Between two products: every way to another shape, and a transpose.
model::Graph Reshaped() {
  model::Graph graph = Begun();
  graph.initializers["target"] = Values<int64_t>(DType::kI64, {0, 0, 3, -1}, {4});
  graph.initializers["axes"] = Values<int64_t>(DType::kI64, {1, -1}, {2});
  graph.nodes.insert(
      graph.nodes.end(),
      {MakeNode("Reshape", "reshape", {"h", "target"}, {"a"}),
       MakeNode("Transpose", "transpose", {"a"}, {"b"}, {{"perm", Ints{0, 2, 1, 3}}}),
       MakeNode("Unsqueeze", "unsqueeze", {"b", "axes"}, {"c"}),
       MakeNode("Squeeze", "squeeze", {"c", "axes"}, {"d"}), MakeNode("Dropout", "dropout", {"d"}, {"e"}),
       MakeNode("Flatten", "flatten", {"e"}, {"f"}, {{"axis", int64_t{3}}}),
       MakeNode("Identity", "identity", {"f"}, {"g"}), MakeNode("MatMul", "second", {"g", "w3"}, {"y"})});
  graph.initializers["w3"] = RandomF32({4, 3}, 2);
  End(graph, {"y"});
  return graph;
}

TEST(Move, BetweenProductsAnswersAsTheReference) {
  for (const std::vector<std::string>& taps : {std::vector<std::string>{}, {"b", "e"}})
    for (const int64_t batch : {1, 3, 700})
      for (const int threads : {1, 2})
        ExpectAsReference(Reshaped(), {{"x", RandomF32({batch, 6, 8}, 3)}},
                          {.threads = threads, .taps = taps}, fmt::format("batch {}", batch));
}

TEST(FindMoveLayers, AComputedTargetStaysWithOpenVino) {
  model::Graph graph = Reshaped();
  graph.initializers.erase("target");
  graph.inputs.push_back({"target", DType::kI64, {4}, {""}});
  graph.outputs.clear();
  graph.nodes.resize(2);
  graph.outputs = {{"a", DType::kF32, {-1, -1, -1, -1}, {"", "", "", ""}}};
  EXPECT_THAT(Found(graph, {"a"}), ElementsAre());
}

TEST(FindMoveLayers, AMaskThatIsReadStaysWithOpenVino) {
  model::Graph graph = Begun();
  graph.nodes.push_back(MakeNode("Dropout", "dropout", {"h"}, {"y", "mask"}));
  End(graph, {"y"});
  EXPECT_THAT(Found(graph, {"y"}), ElementsAre("dropout"));
  EXPECT_THAT(Found(graph, {"y", "mask"}), ElementsAre());
}

// x -> bytes -> Transpose -> Flatten -> bytes, twice -> MatMul by integers.
TEST(Move, BetweenEqualQuantizersMovesBytes) {
  model::Graph graph = Begun();
  graph.nodes.clear();
  graph.initializers["scale"] = Values<float>(DType::kF32, {0.01f}, {});
  graph.initializers["zero"] = Values<uint8_t>(DType::kU8, {128}, {});
  graph.initializers["w"] = RandomBytes(DType::kI8, {48, 7}, 3);
  const auto quantize = [&](const std::string& from, const std::string& to) {
    graph.nodes.push_back(MakeNode("QuantizeLinear", to + "q", {from, "scale", "zero"}, {to + "q"}));
    graph.nodes.push_back(MakeNode("DequantizeLinear", to, {to + "q", "scale", "zero"}, {to}));
  };
  quantize("x", "a");
  graph.nodes.push_back(MakeNode("Transpose", "transpose", {"a"}, {"b"}, {{"perm", Ints{0, 2, 1}}}));
  quantize("b", "c");
  graph.nodes.push_back(MakeNode("Flatten", "flatten", {"c"}, {"d"}));
  quantize("d", "e");
  graph.nodes.push_back(MakeNode("DequantizeLinear", "wd", {"w", "scale"}, {"wd"}));
  graph.nodes.push_back(MakeNode("MatMul", "product", {"e", "wd"}, {"y"}));
  End(graph, {"y"});
  SessionOptions options;
  options.prefer = "strop";
  std::vector<std::string> ops;
  for (const LayerPlan& layer : Session::Make(graph, options)->plan()) ops.push_back(layer.op);
  EXPECT_THAT(ops, ElementsAre("QuantizeLinear", "DequantizeLinear+Transpose+QuantizeLinear",
                               "DequantizeLinear+Flatten+QuantizeLinear", testing::_));
  ExpectAsReference(graph, {{"x", RandomF32({3, 6, 8}, 3)}}, {.threads = 2}, "bytes");
}

// Beside what OpenVINO runs it gives another shape at no cost.
TEST(Move, WhatOpenVinoReadsIsReshapedThere) {
  model::Graph graph = Begun();
  graph.initializers["target"] = Values<int64_t>(DType::kI64, {-1}, {1});
  graph.nodes.push_back(MakeNode("Reshape", "reshape", {"h", "target"}, {"a"}));
  graph.nodes.push_back(MakeNode("Sin", "sin", {"a"}, {"y"}));
  End(graph, {"y"});
  ExpectAsReference(graph, {{"x", RandomF32({2, 6, 8}, 3)}}, {.openvino = {"2 nodes"}}, "Sin");
}

TEST(Move, TransposesEveryPermutationOfEveryType) {
  const Shape shape = {3, 5, 1, 4, 17};
  Ints perm(shape.size());
  std::iota(perm.begin(), perm.end(), 0);
  const TransposeFn transpose = PickTranspose(Cpu()).run;
  do {
    for (const DType dtype : {DType::kU8, DType::kF16, DType::kF32, DType::kI64}) {
      const Tensor bytes = RandomBytes(DType::kU8, {3 * 5 * 4 * 17 * static_cast<int64_t>(SizeOf(dtype))}, 4);
      const Tensor in = Tensor::Wrap(dtype, shape, bytes.data(), bytes.memory());
      const Tensor wanted = model::reference::EvaluateNode(
          MakeNode("Transpose", "t", {"x"}, {"y"}, {{"perm", perm}}), 17, {in})[0];
      const Tensor found = Tensor::New(dtype, wanted.shape());
      const Permutation permutation(shape, perm, static_cast<int64_t>(SizeOf(dtype)));
      const int64_t half = permutation.pieces() / 2;
      permutation.Run(in.data(), found.data(), half, permutation.pieces(), transpose);
      permutation.Run(in.data(), found.data(), 0, half, transpose);
      ASSERT_TRUE(std::equal(static_cast<char*>(found.data()),
                             static_cast<char*>(found.data()) + found.bytes(),
                             static_cast<char*>(wanted.data())))
          << fmt::format("{} {}", ShapeText(perm), DTypeName(dtype));
    }
  } while (std::next_permutation(perm.begin(), perm.end()));
}

TEST(Move, OfOneElementIsACopy) {
  const Permutation permutation({1, 1}, Ints{1, 0}, 4);
  float in = 3, out = 0;
  permutation.Run(&in, &out, 0, permutation.pieces(), PickTranspose(Cpu()).run);
  EXPECT_EQ(out, 3);
}

// ids -> the rows of a table of `dtype` -> float32 -> MatMul -> y, beside a mask of integers made float32.
model::Graph Embedded(DType ids, DType table) {
  model::Graph graph;
  graph.name = "embedding";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"ids", ids, {-1, -1}, {"batch", "length"}}, {"mask", ids, {-1, -1}, {"batch", "length"}}};
  graph.initializers["table"] =
      table == DType::kF32 ? RandomF32({50, 12}, 1) : RandomBytes(table, {50, 12}, 1);
  graph.initializers["scale"] = Values<float>(DType::kF32, {0.02f}, {});
  graph.initializers["w"] = RandomF32({12, 1}, 2);
  graph.initializers["last"] = Values<int64_t>(DType::kI64, {-1}, {1});
  graph.nodes = {MakeNode("Gather", "gather", {"table", "ids"}, {"e"})};
  if (table != DType::kF32)
    graph.nodes.push_back(MakeNode("DequantizeLinear", "dequantize", {"e", "scale"}, {"f"}));
  const std::string rows = table == DType::kF32 ? "e" : "f";
  graph.nodes.insert(graph.nodes.end(),
                     {MakeNode("Unsqueeze", "widen", {"mask", "last"}, {"m"}),
                      MakeNode("Cast", "cast", {"m"}, {"mf"}, {{"to", model::OnnxType(DType::kF32)}}),
                      MakeNode("Neg", "neg", {rows}, {"n"}), MakeNode("MatMul", "product", {"n", "w"}, {"y"}),
                      MakeNode("Mul", "apply", {"y", "mf"}, {"u"})});
  End(graph, {"u"});
  return graph;
}

template <class T>
TensorMap Ids(DType dtype, std::vector<T> ids) {
  const Tensor tensor = Values<T>(dtype, ids, {2, 3});
  return {{"ids", tensor}, {"mask", tensor}};
}

TEST(Move, ATableIsReadByRow) {
  ExpectAsReference(Embedded(DType::kI64, DType::kF32), Ids<int64_t>(DType::kI64, {0, 49, -1, -50, 7, 7}), {},
                    "int64");
  ExpectAsReference(Embedded(DType::kI32, DType::kF32), Ids<int32_t>(DType::kI32, {0, 49, -1, -50, 7, 7}), {},
                    "int32");
  ExpectAsReference(Embedded(DType::kI64, DType::kU8), Ids<int64_t>(DType::kI64, {0, 49, -1, -50, 7, 7}), {},
                    "bytes");
}

TEST(Move, AnIndexOutsideOfTheTableIsRefused) {
  SessionOptions options;
  options.prefer = "strop";
  const auto session = Session::Make(Embedded(DType::kI64, DType::kF32), options);
  for (const int64_t wrong : {50, -51}) {
    try {
      session->Run(Ids<int64_t>(DType::kI64, {0, 1, 2, 3, wrong, 5}));
      FAIL() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_THAT(error.what(), HasSubstr(fmt::format("index {} is outside of an axis of 50", wrong)));
    }
  }
}

TEST(Move, IntegersBecomeFloatsToTheNearest) {
  model::Graph graph = Begun();
  graph.inputs.push_back({"k", DType::kI64, {-1, 6, 12}, {"batch", "", ""}});
  graph.nodes.push_back(MakeNode("Cast", "cast", {"k"}, {"kf"}, {{"to", model::OnnxType(DType::kF32)}}));
  graph.nodes.push_back(MakeNode("Max", "max", {"h", "kf"}, {"y"}));
  End(graph, {"y"});
  const Tensor k = Tensor::New(DType::kI64, {1, 6, 12});
  Rng rng(3);
  for (int64_t& value : k.As<int64_t>()) value = static_cast<int64_t>(rng.Below(UINT64_MAX)) >> rng.Below(64);
  ExpectAsReference(graph, {{"x", RandomF32({1, 6, 8}, 3)}, {"k", k}}, {}, "int64");
}

}  // namespace
}  // namespace strop::engine
